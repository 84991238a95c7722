/** Processes that run in the background, and what they serve to the outside, in the browser. */
import { expect, test, type Page } from '@playwright/test';
import {
	admin,
	createCapsule,
	destroyCapsule,
	openTab,
	signIn,
	waitUntilRunning
} from './dashboard';

const PATIENCE = { timeout: 60_000 };

async function startInBackground(page: Page, command: string): Promise<void> {
	const input = page.getByRole('textbox', { name: 'Command to run in the background' });
	await input.fill(command);
	await input.press('Enter');
	await expect(input).toHaveValue('', PATIENCE);
}

function process(page: Page, command: string) {
	return page.getByRole('row').filter({ hasText: command });
}

async function send(page: Page, command: string, signal: string): Promise<void> {
	await process(page, command)
		.getByRole('button', { name: /^More for process/ })
		.click();
	await page.getByRole('menuitem', { name: signal }).click();
}

test('processes are started, followed and sent signals', async ({ page }) => {
	await signIn(page, admin());
	const id = await createCapsule(page);

	try {
		await waitUntilRunning(page, id);
		await page.getByRole('link', { name: id }).click();
		await openTab(page, 'Processes');
		await expect(page.getByText('Nothing runs that was started')).toBeVisible(PATIENCE);

		const ticking = 'for i in $(seq 1 9999); do echo tick $i; sleep 1; done';
		await startInBackground(page, ticking);
		await expect(process(page, ticking)).toBeVisible(PATIENCE);
		await startInBackground(page, 'sleep 7777');
		await expect(process(page, 'sleep 7777')).toBeVisible(PATIENCE);

		await test.step('what one has printed, and prints, is shown', async () => {
			await process(page, ticking)
				.getByRole('button', { name: /^Follow/ })
				.click();
			const output = page.getByRole('log', { name: 'Output' });
			await expect(output).toContainText('tick 1\n', PATIENCE);
			const before = await output.innerText();
			await expect
				.poll(async () => (await output.innerText()).length)
				.toBeGreaterThan(before.length);
		});

		await test.step('a gentle signal ends it, and the output says so', async () => {
			await send(page, ticking, 'SIGTERM');
			await expect(page.getByText('exit 143')).toBeVisible(PATIENCE);
			await expect(process(page, ticking)).toHaveCount(0, PATIENCE);
		});

		await test.step('a kill is asked about first', async () => {
			await send(page, 'sleep 7777', 'SIGKILL');
			await page.getByRole('alertdialog').getByRole('button', { name: 'Kill' }).click();
			await expect(process(page, 'sleep 7777')).toHaveCount(0, PATIENCE);
		});
	} finally {
		await page.goto('/capsules');
		await destroyCapsule(page, id);
	}
});
