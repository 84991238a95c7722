/**
 * Journeys through the dashboard of a running server, in the system's Chromium.
 *
 *   WRENN_BASE_URL        where it answers, by default http://127.0.0.1:8000
 *   WRENN_ADMIN_EMAIL     an account to sign in with
 *   WRENN_ADMIN_PASSWORD
 *   WRENN_CHROMIUM        the browser, by default /usr/bin/chromium
 *   WRENN_BINARY          the program, for tests in which further hosts join; these need root and fail without it
 *   WRENN_AGENT_ADDR      the server's WRENN_GRPC_PUBLIC_ADDR, an address of 10.214.0.0/16 that this machine does not have yet
 *   WRENN_IMAGES          kernel and images for those hosts
 *   WRENN_E2E_FOLDER      where they keep their data, by default /var/tmp
 */
import { defineConfig } from '@playwright/test';

export default defineConfig({
	testDir: 'e2e',
	outputDir: 'test-results',
	// The journeys share one server and its few virtual machines.
	workers: 1,
	forbidOnly: Boolean(process.env.CI),
	reporter: 'list',
	timeout: 180_000,
	expect: { timeout: 10_000 },
	use: {
		// An act that is not possible says so, instead of using up the time of the whole test.
		actionTimeout: 60_000,
		baseURL: process.env.WRENN_BASE_URL ?? 'http://127.0.0.1:8000',
		viewport: { width: 1280, height: 800 },
		screenshot: 'only-on-failure',
		trace: 'retain-on-failure',
		launchOptions: {
			executablePath: process.env.WRENN_CHROMIUM ?? '/usr/bin/chromium',
			args: [
				'--no-sandbox',
				'--disable-quic',
				'--no-first-run',
				'--disable-background-networking',
				'--disable-component-update',
				'--disable-sync'
			]
		}
	}
});
