/** What a user does, against a real server with real capsules. */
import { expect, test } from '@playwright/test';
import {
	admin,
	createCapsule,
	destroyCapsule,
	fillIn,
	open,
	openTab,
	row,
	run,
	shownCapsule,
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

test('a capsule is paused, goes on where it was, and becomes a template', async ({ page }) => {
	const name = `journey-${Date.now().toString(36)}`;
	await signIn(page, admin());
	const id = await createCapsule(page);
	const ids = [id];

	try {
		await waitUntilRunning(page, id);
		await page.getByRole('link', { name: id }).click();
		await run(page, 'echo kept > /dev/shm/memory');

		await test.step('while it is paused it runs nothing, and says how it runs again', async () => {
			await page.getByRole('button', { name: 'Pause' }).click();
			await expect(page.getByRole('button', { name: 'Resume' })).toBeEnabled();
			await openTab(page, 'Commands');
			await expect(page.getByRole('textbox', { name: 'Command' })).toBeDisabled();
			await page.getByRole('button', { name: 'Resume' }).click();
			await expect(page.getByRole('button', { name: 'Pause' })).toBeEnabled();
			expect(await run(page, 'cat /dev/shm/memory')).toContain('kept');
		});

		await test.step('a template is made of it', async () => {
			await open(page, 'Capsules');
			await row(page, id).getByRole('button', { name: 'Make a template' }).click();
			const dialog = page.getByRole('dialog');
			const nameField = dialog.getByRole('textbox', { name: 'Name' });
			await nameField.fill('Not a name');
			await dialog.getByRole('button', { name: 'Make template' }).click();
			await expect(dialog.getByText('lower-case letters')).toBeVisible();
			await nameField.fill(name);
			await dialog.getByRole('button', { name: 'Make template' }).click();
			await expect(dialog).toHaveCount(0, { timeout: 60_000 });
			await expect(row(page, id).getByRole('button', { name: 'Pause' })).toBeEnabled();
		});

		await test.step('a capsule that is created from it has its memory', async () => {
			await open(page, 'Templates');
			const template = page.getByRole('row').filter({ hasText: name });
			await expect(template).toContainText('snapshot');
			await template.getByRole('button', { name: 'Create a capsule' }).click();
			const dialog = page.getByRole('dialog');
			await expect(dialog.getByLabel('Template')).toHaveValue(name);
			await expect(dialog.getByLabel('Memory')).toBeDisabled();
			await dialog.getByRole('button', { name: 'Create', exact: true }).click();
			await expect(page).toHaveURL(/\/capsules\/cl-/);
			ids.push(shownCapsule(page));
			await expect(page.getByRole('button', { name: 'Pause' })).toBeEnabled({ timeout: 90_000 });
			expect(await run(page, 'cat /dev/shm/memory')).toContain('kept');
		});

		await test.step('the team’s template can be deleted, the platform’s cannot', async () => {
			await open(page, 'Templates');
			await expect(page.getByRole('button', { name: 'More for minimal' })).toBeDisabled();
			await page.getByRole('button', { name: `More for ${name}` }).click();
			await page.getByRole('menuitem', { name: `Delete ${name}` }).click();
			await page.getByRole('alertdialog').getByRole('button', { name: 'Delete' }).click();
			await expect(page.getByRole('row').filter({ hasText: name })).toHaveCount(0);
		});
	} finally {
		await page.goto('/capsules');
		for (const each of ids) await destroyCapsule(page, each);
	}
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

	await dialog.getByLabel('vCPUs').fill('1000');
	await create.click();
	await expect(dialog.getByText('vCPUs must be at most 32.')).toBeVisible();

	// Within the limits, and more than the host has: only the server knows.
	await dialog.getByLabel('vCPUs').fill('32');
	await dialog.getByLabel('Memory').fill('65536');
	await create.click();
	await expect(dialog.getByRole('alert')).toContainText('host_unavailable');
	await dialog.getByRole('button', { name: 'Cancel' }).click();
	await expect(dialog).toHaveCount(0);
});
