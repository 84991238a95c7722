/** The scripts that a page makes the browser load. Only the built dashboard tells: `vite dev` sends every module by itself. */
import { gzipSync } from 'node:zlib';
import { expect, test, type Page } from '@playwright/test';
import { admin, signIn } from './dashboard';

const LIST_PAGE_KB = 250;

/** The scripts that a page loads from now on, with their sizes as they are sent. */
function collectScripts(page: Page): { path: string; gzipBytes: number; text: string }[] {
	const scripts: { path: string; gzipBytes: number; text: string }[] = [];
	page.on('response', async (response) => {
		const { pathname } = new URL(response.url());
		if (!pathname.endsWith('.js')) return;
		const body = await response.body();
		scripts.push({ path: pathname, gzipBytes: gzipSync(body).length, text: body.toString() });
	});
	return scripts;
}

const hasCharts = ({ text }: { text: string }) => text.includes('maintainAspectRatio');
const hasTerminal = ({ text }: { text: string }) => text.includes('xterm-helper-textarea');

test('the list is light, and charts and terminals come only where they are', async ({ page }) => {
	await signIn(page, admin());
	expect(await page.content(), 'the dashboard is built').not.toContain('/@vite/client');

	const scripts = collectScripts(page);
	await page.goto('/dashboard/capsules/list');
	// The list has been asked for and is shown, so everything that shows it is there.
	await expect(
		page.getByRole('table').or(page.getByRole('heading', { name: 'No capsules yet' }))
	).toBeVisible();
	const kilobytes = scripts.reduce((sum, { gzipBytes }) => sum + gzipBytes, 0) / 1000;
	console.log(`  the list page loads ${kilobytes.toFixed(0)} kB of scripts, gzipped`);
	expect(scripts.length).toBeGreaterThan(0);
	expect(kilobytes).toBeLessThanOrEqual(LIST_PAGE_KB);
	expect(scripts.filter(hasCharts)).toEqual([]);
	expect(scripts.filter(hasTerminal)).toEqual([]);

	await page.goto('/dashboard/capsules/stats');
	await expect.poll(() => scripts.some(hasCharts)).toBe(true);
	expect(scripts.filter(hasTerminal)).toEqual([]);
});
