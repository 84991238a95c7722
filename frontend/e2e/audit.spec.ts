/** The audit log: who changed what, found by filters that stand in the address. */
import { readFile } from 'node:fs/promises';
import { expect, test, type Page } from '@playwright/test';
import { call, row, signUp, stranger } from './dashboard';

/** Makes keys beside the page, each an entry of the log. */
async function makeKeys(page: Page, names: readonly string[]): Promise<void> {
	for (const name of names) await call(page, 'POST', '/v1/api-keys', { name });
}

test('what was changed is said in plain words, and found by filters', async ({ page }) => {
	const account = stranger();
	await signUp(page, account);
	await makeKeys(page, ['first key']);
	await page.goto('/dashboard/audit');

	const entry = row(page, 'Create an API key');
	await expect(entry).toContainText(account.name);
	await expect(entry).toContainText('first key');
	await expect(entry).toContainText('done');
	await expect(row(page, 'Sign up')).toBeVisible();

	await test.step('everything that is known of an entry is shown on demand', async () => {
		const details = page.getByRole('button', { name: 'Details of “Create an API key”' });
		await details.press('Enter');
		await expect(details).toHaveAttribute('aria-expanded', 'true');
		await expect(page.getByText('api_key.create')).toBeVisible();
		await expect(page.getByText('Entry id')).toBeVisible();
	});

	await test.step('filters stand in the address, and come back with it', async () => {
		await page.getByLabel('Kind').selectOption('Accounts');
		await expect(page).toHaveURL(/resource=user/);
		await expect(row(page, 'Create an API key')).toHaveCount(0);
		await expect(row(page, 'Sign up')).toBeVisible();
		await page.reload();
		await expect(page.getByLabel('Kind')).toHaveValue('user');
		await expect(row(page, 'Sign up')).toBeVisible();
		await expect(row(page, 'Create an API key')).toHaveCount(0);
	});

	await test.step('days that are over have no entries of a new team', async () => {
		await page.getByLabel('To', { exact: true }).fill('2020-01-01');
		await expect(page.getByText('No entry matches.')).toBeVisible();
		await page.getByRole('button', { name: 'Clear' }).click();
		await expect(row(page, 'Create an API key')).toBeVisible();
	});

	await test.step('it is loaded anew when somebody wants it', async () => {
		await makeKeys(page, ['second key']);
		await page.getByRole('button', { name: 'Refresh' }).click();
		await expect(row(page, 'Create an API key')).toHaveCount(2);
	});
});

test('older entries follow page by page', async ({ page }) => {
	await signUp(page, stranger());
	await makeKeys(
		page,
		Array.from({ length: 50 }, (_, at) => `key ${at}`)
	);
	await page.goto('/dashboard/audit');
	await expect(row(page, 'Create an API key')).toHaveCount(50);
	await expect(row(page, 'Sign up')).toHaveCount(0);
	await page.getByRole('button', { name: 'Show older entries' }).click();
	await expect(row(page, 'Sign up')).toBeVisible();
	await expect(row(page, 'Create an API key')).toHaveCount(50);
	await expect(page.getByText('These are all entries that match.')).toBeVisible();
});

test('a fault is said, and can be tried again', async ({ page }) => {
	await signUp(page, stranger());
	await page.route('**/v1/audit-logs*', (route) => route.abort());
	await page.goto('/dashboard/audit');
	await expect(page.getByRole('alert')).toContainText('The audit log cannot be loaded.');
	await page.unroute('**/v1/audit-logs*');
	await page.getByRole('button', { name: 'Try again' }).click();
	await expect(row(page, 'Sign up')).toBeVisible();
});

test('what matches is exported, as a file that spreadsheets calculate nothing from', async ({
	page
}) => {
	await signUp(page, { ...stranger(), name: '=1+2' });
	await makeKeys(page, ['one key', 'another']);
	await page.goto('/dashboard/audit?resource=api_key');
	await expect(row(page, 'Create an API key')).toHaveCount(2);

	await test.step('as CSV', async () => {
		const download = page.waitForEvent('download');
		await page.getByRole('button', { name: 'Export what matches as CSV' }).click();
		const file = await download;
		expect(file.suggestedFilename()).toBe('audit-log.csv');
		const lines = (await readFile(await file.path(), 'utf8')).trim().split('\r\n');
		expect(lines).toHaveLength(3);
		expect(lines[0]).toContain('created_at,settled_at,actor_type');
		expect(lines[1]).toContain("'=1+2");
		await expect(page.getByText('audit-log.csv is complete')).toBeVisible();
	});

	await test.step('as JSON Lines, from the keyboard', async () => {
		await page.getByRole('button', { name: 'More for the export' }).press('Enter');
		const download = page.waitForEvent('download');
		await page.getByRole('menuitem', { name: 'Export as JSON Lines' }).press('Enter');
		const text = await readFile(await (await download).path(), 'utf8');
		const entries = text.trim().split('\n');
		const actions = entries.map((line) => (JSON.parse(line) as { action: string }).action);
		expect(actions).toEqual(['api_key.create', 'api_key.create']);
	});

	await test.step('an export that fails says so', async () => {
		await page.route('**/v1/audit-logs?*format=csv*', (route) => route.abort());
		await page.getByRole('button', { name: 'Export what matches as CSV' }).click();
		await expect(page.getByText(/^The log was not exported: /)).toBeVisible();
	});
});
