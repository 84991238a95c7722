/** What a user does, against a real server with real capsules. */
import { expect, test } from '@playwright/test';
import {
	admin,
	createCapsule,
	destroyCapsule,
	fillIn,
	open,
	run,
	signIn,
	signOut,
	signUp,
	stranger,
	waitUntilRunning
} from './dashboard';

test('a capsule is created, seen running, used and destroyed', async ({ page, browser }) => {
	await signIn(page, admin());
	const id = await createCapsule(page);

	try {
		await waitUntilRunning(page, id);

		await test.step('a command runs in it', async () => {
			await page.getByRole('link', { name: id }).click();
			const output = await run(page, 'echo $((6 * 7)); echo oops >&2; exit 3');
			expect(output).toContain('42');
			expect(output).toContain('oops');
			expect(output).toContain('exit 3');
			await open(page, 'Capsules');
		});

		await test.step('another team sees nothing of it', async () => {
			const other = await browser.newPage();
			await signUp(other, stranger());
			await expect(other.getByRole('heading', { name: 'No capsules yet' })).toBeVisible();
			await expect(other.getByText('/v1/capsules')).toBeVisible();
			await other.goto(`/capsules/${id}`);
			await expect(other.getByRole('alert')).toContainText('not_found');
			await other.close();
		});
	} finally {
		await page.goto('/capsules');
		await destroyCapsule(page, id);
	}

	await signOut(page);
	await page.goto('/capsules');
	await expect(page).toHaveURL(/\/login/);
});

test('an API key is shown once, listed and deleted', async ({ page, request }) => {
	const name = `journey ${Date.now()}`;
	await signIn(page, admin());
	await open(page, 'API keys');
	await page.getByRole('button', { name: 'Create key' }).click();
	await page.getByLabel('Name').fill(name);
	await page.getByRole('button', { name: 'Create', exact: true }).click();
	const key = (await page.getByRole('dialog').getByText(/^wrn_/).innerText()).trim();
	await page.getByRole('button', { name: 'Done' }).click();

	const keyRow = page.getByRole('row').filter({ hasText: name });
	await expect(keyRow).toBeVisible();
	await expect(page.getByText(key)).toHaveCount(0);
	const list = () => request.get('/v1/capsules', { headers: { 'X-API-Key': key } });
	expect((await list()).status()).toBe(200);

	await keyRow.getByRole('button', { name: 'Delete' }).click();
	await page.getByRole('alertdialog').getByRole('button', { name: 'Delete' }).click();
	await expect(keyRow).toHaveCount(0);
	expect((await list()).status()).toBe(401);
});

test('a wrong password and a taken email are said beside the form', async ({ page }) => {
	const { email } = admin();
	await page.goto('/login');
	await fillIn(page, { email, password: 'certainly not it' });
	await page.getByRole('button', { name: 'Sign in' }).click();
	await expect(page.getByRole('alert')).toContainText('unauthorized');

	await page.getByRole('tab', { name: 'Sign up' }).click();
	await page.getByLabel('Name').fill('Somebody');
	await fillIn(page, { email, password: 'certainly not it' });
	await page.getByRole('button', { name: 'Create account' }).click();
	await expect(page.getByRole('alert')).toContainText('email_taken');
});

test('a create form is checked here and by the server', async ({ page }) => {
	await signIn(page, admin());
	await page.getByRole('button', { name: 'Create capsule' }).click();
	const dialog = page.getByRole('dialog');
	const create = dialog.getByRole('button', { name: 'Create', exact: true });

	await dialog.getByLabel('vCPUs').fill('0');
	await create.click();
	await expect(dialog.getByText('vCPUs must be at least 1.')).toBeVisible();

	await dialog.getByLabel('vCPUs').fill('1');
	await dialog.getByLabel('Template').fill('no-such-template');
	await create.click();
	await expect(dialog.getByRole('alert')).toBeVisible();
	await dialog.getByRole('button', { name: 'Cancel' }).click();
	await expect(dialog).toHaveCount(0);
});
