/** All users, as an administrator of the platform sees and changes them, and what the users see of that. */
import { expect, test, type Page } from '@playwright/test';
import {
	admin,
	call,
	fillIn,
	mainNavigation,
	person,
	row,
	signIn,
	signOut,
	signUp,
	storedSession
} from './dashboard';

/**
 * The server looks at all that is open at once, and every 2 s in any case; then the page asks for its news again, and is told
 * why there are none.
 */
const REVOKED_WITHIN_MS = 5_000;

/** Opens the list of all users, with those that a text finds. */
async function openUsers(page: Page, text: string): Promise<void> {
	await page.goto('/admin/users');
	await expect(page.getByRole('heading', { name: 'Users', exact: true })).toBeVisible();
	await page.getByRole('searchbox', { name: 'Name, address or id' }).fill(text);
}

async function choose(page: Page, name: string, action: string): Promise<void> {
	await page.getByRole('button', { name: `More for ${name}` }).click();
	await page.getByRole('menuitem', { name: action }).click();
}

test('a user who is switched off is thrown out at once, and comes back when switched on', async ({
	page,
	browser
}) => {
	const mia = person('Mia');
	const context = await browser.newContext();
	const other = await context.newPage();
	await signUp(other, mia);
	await mainNavigation(other).getByRole('link', { name: 'API keys' }).click();
	await expect(other.getByRole('heading', { name: 'API keys', exact: true })).toBeVisible();
	await signIn(page, admin());
	await openUsers(page, mia.email);
	await expect(row(page, mia.email)).toContainText('active');

	await test.step('her open page ends where one signs in, with the reason', async () => {
		await page.getByRole('button', { name: `Switch off ${mia.name}` }).click();
		const question = page.getByRole('alertdialog');
		await expect(question).toContainText(`All sessions of ${mia.email} end at once`);
		await question.getByRole('button', { name: 'Switch off' }).click();
		await expect(other.getByText('Your account is switched off.')).toBeVisible({
			timeout: REVOKED_WITHIN_MS
		});
		await expect(other).toHaveURL(/\/login/);
		await expect(row(page, mia.email)).toContainText('switched off');
	});

	await test.step('she cannot sign in', async () => {
		await fillIn(other, mia);
		await other.getByRole('button', { name: 'Sign in' }).click();
		await expect(other.getByRole('alert')).toContainText('disabled');
	});

	await test.step('switched on, she is back on the page that she was on', async () => {
		await page.getByRole('button', { name: `Switch on ${mia.name}` }).click();
		await expect(row(page, mia.email)).not.toContainText('switched off');
		await other.getByRole('button', { name: 'Sign in' }).click();
		await expect(other.getByRole('heading', { name: 'API keys', exact: true })).toBeVisible();
	});
	await context.close();
});

test('an administrator is made, keeps to the rules, and gives the administration up', async ({
	page,
	browser
}) => {
	const mia = person('Mia');
	const context = await browser.newContext();
	const other = await context.newPage();
	await signUp(other, mia);
	await other.goto('/admin/users');
	await expect(other.getByText('Only for admins of the platform')).toBeVisible();
	await signIn(page, admin());
	await openUsers(page, mia.email);

	await choose(page, mia.name, `Make ${mia.name} an administrator`);
	await page.getByRole('alertdialog').getByRole('button', { name: 'Make administrator' }).click();
	await expect(row(page, mia.email)).toContainText('platform admin');

	await other.goto('/dashboard/capsules/list');
	await signOut(other);
	await signIn(other, mia);
	await openUsers(other, mia.email);
	await expect(other.getByRole('button', { name: `Switch off ${mia.name}` })).toHaveAttribute(
		'title',
		'You cannot switch off your own account. Another administrator can.'
	);
	await choose(other, mia.name, `Take the administration from ${mia.name}`);
	const question = other.getByRole('alertdialog');
	await expect(question).toContainText('Only another administrator can make you one again.');
	await question.getByRole('button', { name: 'Take administration back' }).click();
	await expect(other.getByText('Only for admins of the platform')).toBeVisible();
	const me = (await (await call(other, 'GET', '/v1/me')).json()) as { is_admin: boolean };
	expect(me.is_admin).toBe(false);
	await context.close();
});

test('the last administrator is kept, and that is said before', async ({ page }) => {
	await signIn(page, admin());
	const { user_id: id, email, name } = (await storedSession(page))!;
	// Other administrators of the shared server would make this another case.
	await page.route('**/v1/admin/users?*', (route) =>
		route.fulfill({
			json: [
				{
					...{ id, name, email, is_admin: true, is_active: true },
					...{ teams_joined: 1, teams_owned: 1, created_at: '2026-01-01T00:00:00Z' }
				}
			]
		})
	);
	await page.goto('/admin/users');
	await page.getByRole('button', { name: `More for ${name}` }).click();
	const item = page.getByRole('menuitem', { name: `Take the administration from ${name}` });
	await expect(item).toHaveAttribute('aria-disabled', 'true');
	await expect(item).toHaveAttribute(
		'title',
		'This is the last active administrator of the platform. Make another user one first.'
	);
});

test('a link for a new password is shown once, and is good once', async ({ page, browser }) => {
	const mia = person('Mia');
	const context = await browser.newContext();
	const other = await context.newPage();
	await signUp(other, mia);
	await signOut(other);
	await signIn(page, admin());
	await openUsers(page, mia.email);

	await choose(page, mia.name, `Make a link for a new password of ${mia.name}`);
	const dialog = page.getByRole('dialog');
	const shown = dialog.getByText(/\/reset-password\?token=/);
	await expect(shown).toBeVisible();
	await expect(dialog.getByRole('status')).toContainText('It is good once, for an hour');
	const link = new URL((await shown.innerText()).trim());
	await dialog.getByRole('button', { name: 'Done' }).click();
	await expect(page.getByText(/token=/)).toHaveCount(0);

	const password = `${mia.password}-new`;
	await other.goto(link.pathname + link.search);
	await other.getByLabel('New password', { exact: true }).fill(password);
	await other.getByLabel('New password, again').fill(password);
	await other.getByRole('button', { name: 'Set the password' }).click();
	await expect(other.getByText('The new password is set.')).toBeVisible();
	await signIn(other, { ...mia, password });
	await context.close();
});

test('users are found by what they are, and faults are said', async ({ page }) => {
	await signIn(page, admin());
	const { email } = (await storedSession(page))!;
	await openUsers(page, email);
	await page.getByRole('combobox', { name: 'Kind of user' }).selectOption('Administrators');
	await expect(row(page, email)).toContainText('platform admin');
	await page.getByRole('combobox', { name: 'Kind of user' }).selectOption('Switched off');
	await expect(page.getByText('No user matches.')).toBeVisible();
	await page.getByRole('button', { name: 'Show all' }).click();
	const search = page.getByRole('searchbox', { name: 'Name, address or id' });
	await expect(search).toHaveValue('');
	await search.fill(email);
	await expect(row(page, email)).toBeVisible();

	await page.route('**/v1/admin/users?*', (route) => route.abort());
	await page.reload();
	await expect(page.getByRole('alert')).toContainText('The list cannot be loaded yet.');
	await page.unroute('**/v1/admin/users?*');
	await expect(page.getByRole('table', { name: 'The users of the platform' })).toBeVisible();
});
