/** API keys: what they may do, when they end, and that they are shown once. */
import { expect, test } from '@playwright/test';
import { row, signUp, stranger } from './dashboard';

test('a key is made with scopes and an end, shown once, and deleted', async ({ page, request }) => {
	const account = stranger();
	const name = `ci ${Date.now().toString(36)}`;
	await signUp(page, account);
	await page.goto('/dashboard/keys');
	await expect(page.getByText('No API keys yet')).toBeVisible();

	await page.getByRole('button', { name: 'Create key' }).click();
	const dialog = page.getByRole('dialog');
	const create = dialog.getByRole('button', { name: 'Create', exact: true });

	await test.step('the form says what is missing', async () => {
		await dialog.getByLabel('Name').fill(name);
		await dialog.getByRole('checkbox', { name: /^capsules/ }).uncheck();
		await dialog.getByRole('checkbox', { name: /^builds/ }).uncheck();
		await dialog.getByLabel('Ends').selectOption('On a date');
		await create.click();
		await expect(dialog.getByText('Choose at least one.')).toBeVisible();
		await expect(dialog.getByText('Choose a day that is not over')).toBeVisible();
	});

	const key = await test.step('it is shown once', async () => {
		await dialog.getByRole('checkbox', { name: /^read/ }).check();
		await dialog.getByLabel('Ends').selectOption('After 7 days');
		await create.click();
		const text = await dialog.getByText(/^wrn_/).innerText();
		await dialog.getByRole('button', { name: 'Done' }).click();
		await expect(dialog).toHaveCount(0);
		await expect(page.getByText(text.trim())).toHaveCount(0);
		return text.trim();
	});

	const entry = row(page, name);
	await expect(entry).toContainText('read');
	await expect(entry).toContainText(account.name);
	// It is marked, in words for those who do not see the colour.
	await expect(entry).toContainText('ends soon');
	await expect(entry).toContainText('in 6d 23h');

	await test.step('it may read, and nothing else', async () => {
		const headers = { 'X-API-Key': key };
		expect((await request.get('/v1/capsules', { headers })).status()).toBe(200);
		const refused = await request.post('/v1/capsules', { headers, data: {} });
		expect(refused.status()).toBe(403);
	});

	await test.step('deleted, it is refused', async () => {
		await page.getByRole('button', { name: `Delete ${name}` }).click();
		const question = page.getByRole('alertdialog');
		await expect(question).toContainText(name);
		await question.getByRole('button', { name: 'Delete' }).click();
		await expect(entry).toHaveCount(0);
		const answer = await request.get('/v1/capsules', { headers: { 'X-API-Key': key } });
		expect(answer.status()).toBe(401);
	});
});

test('a list that cannot be loaded can be tried again', async ({ page }) => {
	await signUp(page, stranger());
	await page.route('**/v1/api-keys', (route) =>
		route.fulfill({
			status: 503,
			json: { error: { code: 'overloaded', message: 'the server has too much to do' } }
		})
	);
	await page.goto('/dashboard/keys');
	await expect(page.getByRole('alert')).toContainText('The keys cannot be loaded.');
	await page.unroute('**/v1/api-keys');
	await page.getByRole('button', { name: 'Try again' }).click();
	await expect(page.getByText('No API keys yet')).toBeVisible();
	await expect(page.getByRole('alert')).toHaveCount(0);
});
