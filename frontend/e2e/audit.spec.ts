/** The audit log: who changed what, found by filters that stand in the address. */
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
