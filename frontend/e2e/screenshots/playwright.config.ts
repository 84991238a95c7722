/** Pictures of the whole dashboard, and its first paint. `scripts/screenshots` runs it; `npm run e2e` does not. */
import { defineConfig } from '@playwright/test';
import base from '../../playwright.config';

/** The first paint needs nothing that takes time to make. */
const isPaint = process.env.WRENN_SCREENSHOTS_PAINT === 'yes';

export default defineConfig(base, {
	testDir: '.',
	testMatch: isPaint ? 'paint.shots.ts' : 'pictures.shots.ts',
	outputDir: '../../test-results',
	globalSetup: isPaint ? undefined : './setup.ts',
	timeout: 120_000,
	use: { actionTimeout: 20_000, screenshot: 'off', trace: 'off' }
});
