/** A team and its people: who is added, what they may do, and how they go. */
import { expect, test, type Page } from '@playwright/test';
import { person, row, signUp } from './dashboard';

async function openTeam(page: Page, teamName: string): Promise<void> {
	await page.goto('/dashboard/team');
	await expect(page.getByRole('heading', { name: 'Team', exact: true })).toBeVisible();
	await expect(page.getByRole('region', { name: 'About the team' })).toContainText(teamName);
}

async function actFor(page: Page, teamName: string): Promise<void> {
	await page.getByRole('button', { name: /^Team: / }).click();
	await page.getByRole('menuitem', { name: teamName }).click();
	await expect(page.getByRole('button', { name: `Team: ${teamName}` })).toBeVisible();
}

async function createTeam(page: Page, name: string): Promise<void> {
	await page.getByRole('button', { name: /^Team: / }).click();
	await page.getByRole('menuitem', { name: 'Create team' }).click();
	const dialog = page.getByRole('dialog');
	await dialog.getByLabel('Name').fill(name);
	await dialog.getByRole('button', { name: 'Create team' }).click();
	await expect(page.getByRole('button', { name: `Team: ${name}` })).toBeVisible();
}

async function add(page: Page, email: string): Promise<void> {
	await page.getByRole('button', { name: 'Add somebody' }).click();
	const dialog = page.getByRole('dialog');
	await dialog.getByRole('combobox', { name: 'Email address' }).fill(email);
	await dialog.getByRole('button', { name: 'Add', exact: true }).click();
}

async function choose(page: Page, person: string, action: string): Promise<void> {
	await page.getByRole('button', { name: `More for ${person}` }).click();
	await page.getByRole('menuitem', { name: action }).click();
}

test('an owner adds, promotes and removes a member, who sees it as it happens', async ({
	page,
	browser
}) => {
	const [olga, mia] = [person('Olga'), person('Mia')];
	const olgasTeam = `${olga.name}'s team`;
	const context = await browser.newContext();
	const other = await context.newPage();
	await signUp(other, mia);
	await signUp(page, olga);
	await openTeam(page, olgasTeam);

	await test.step('she is found by the beginning of her address, from the keyboard', async () => {
		await page.getByRole('button', { name: 'Add somebody' }).click();
		const dialog = page.getByRole('dialog');
		const field = dialog.getByRole('combobox', { name: 'Email address' });
		await field.pressSequentially(mia.email.slice(0, -9));
		await expect(dialog.getByRole('option', { name: mia.name })).toBeVisible();
		await field.press('ArrowDown');
		await expect(dialog.getByRole('option', { name: mia.name })).toHaveAttribute(
			'aria-selected',
			'true'
		);
		await field.press('Enter');
		await expect(field).toHaveValue(mia.email);
		await expect(dialog.getByRole('option', { name: mia.name })).toHaveCount(0);
		await field.press('Enter');
		await expect(dialog).toHaveCount(0);
		await expect(row(page, mia.email)).toContainText('Member');
	});

	await test.step('a member sees what she may not do, and why', async () => {
		// Nobody tells her of a team that she does not act for yet.
		await other.reload();
		await actFor(other, olgasTeam);
		await openTeam(other, olgasTeam);
		const addButton = other.getByRole('button', { name: 'Add somebody' });
		await expect(addButton).toBeDisabled();
		await expect(addButton).toHaveAttribute(
			'title',
			'Only admins and owners of the team may do this.'
		);
		await expect(other.getByRole('button', { name: `Remove ${olga.name}` })).toBeDisabled();
		await expect(other.getByRole('button', { name: 'Rename the team' })).toBeDisabled();
		await expect(other.getByRole('button', { name: 'Delete team' })).toHaveAttribute(
			'title',
			'Only the owner of the team may do this.'
		);
	});

	await test.step('as an admin she may', async () => {
		await choose(page, mia.name, `Make ${mia.name} an admin`);
		await expect(row(page, mia.email)).toContainText('Admin');
		// Nothing was loaded anew in the other browser.
		await expect(row(other, mia.email)).toContainText('Admin');
		await expect(other.getByRole('button', { name: 'Add somebody' })).toBeEnabled();
		await expect(other.getByRole('button', { name: `Remove ${olga.name}` })).toHaveAttribute(
			'title',
			'The owner can hand over the team first.'
		);
	});

	await test.step('removed, she acts for her own team again', async () => {
		await page.getByRole('button', { name: `Remove ${mia.name}` }).click();
		const question = page.getByRole('alertdialog');
		await expect(question).toContainText('API keys');
		await question.getByRole('button', { name: 'Remove' }).click();
		await expect(row(page, mia.email)).toHaveCount(0);
		await expect(other.getByRole('button', { name: `Team: ${mia.name}'s team` })).toBeVisible();
		await expect(other.getByText('no longer a member of the team')).toBeVisible();
	});
	await context.close();
});

test('a team is renamed and handed over, and its former owner leaves', async ({
	page,
	browser
}) => {
	const [olga, mia] = [person('Olga'), person('Mia')];
	const context = await browser.newContext();
	const other = await context.newPage();
	await signUp(other, mia);
	await signUp(page, olga);
	const name = `Lab ${Date.now().toString(36)}`;
	await createTeam(page, name);
	await openTeam(page, name);

	await test.step('the name is changed in its place', async () => {
		await page.getByRole('button', { name: 'Rename the team' }).click();
		const field = page.getByRole('textbox', { name: 'Name' });
		await field.fill(' ');
		await field.press('Enter');
		await expect(page.getByText('At least 1 character.')).toBeVisible();
		await field.fill(`${name} II`);
		await field.press('Enter');
		await expect(page.getByRole('button', { name: `Team: ${name} II` })).toBeVisible();
		await expect(page.getByRole('button', { name: 'Rename the team' })).toBeFocused();
	});

	await test.step('the owner cannot leave before somebody else owns it', async () => {
		const leave = page.getByRole('button', { name: 'Leave team' });
		await expect(leave).toBeDisabled();
		await add(page, mia.email);
		await expect(row(page, mia.email)).toBeVisible();
		await choose(page, mia.name, `Hand over the team to ${mia.name}`);
		await page.getByRole('alertdialog').getByRole('button', { name: 'Hand over' }).click();
		await expect(row(page, mia.email)).toContainText('Owner');
		await expect(leave).toBeEnabled();
		await leave.click();
		await page.getByRole('alertdialog').getByRole('button', { name: 'Leave team' }).click();
		await expect(page.getByRole('button', { name: `Team: ${olga.name}'s team` })).toBeVisible();
	});
	await context.close();
});

test('somebody without an account is invited by a link that is shown once', async ({ page }) => {
	const olga = person('Olga');
	const email = `nobody-${Date.now().toString(36)}@example.org`;
	await signUp(page, olga);
	await openTeam(page, `${olga.name}'s team`);

	await add(page, 'nobody');
	const dialog = page.getByRole('dialog');
	await expect(dialog.getByText('Enter a whole email address')).toBeVisible();
	await dialog.getByRole('combobox', { name: 'Email address' }).fill(email);
	await dialog.getByRole('button', { name: 'Add', exact: true }).click();
	await expect(dialog.getByText(/\/invitation\?token=inv_/)).toBeVisible();
	await dialog.getByRole('button', { name: 'Done' }).click();

	await expect(row(page, email)).toContainText('Member');
	await expect(page.getByText(/token=inv_/)).toHaveCount(0);
	await page.getByRole('button', { name: `Revoke the invitation of ${email}` }).click();
	await page.getByRole('alertdialog').getByRole('button', { name: 'Revoke' }).click();
	await expect(row(page, email)).toHaveCount(0);
});

test('a team is deleted only by its name, and the last one leaves none', async ({ page }) => {
	const olga = person('Olga');
	await signUp(page, olga);
	const first = `${olga.name}'s team`;
	const second = `Second ${Date.now().toString(36)}`;
	await createTeam(page, second);

	for (const [name, next] of [
		[second, first],
		[first, 'No team']
	] as const) {
		await openTeam(page, name);
		await page.getByRole('button', { name: 'Delete team' }).click();
		const question = page.getByRole('alertdialog');
		const confirm = question.getByRole('button', { name: 'Delete team' });
		await expect(question).toContainText('cannot be undone');
		await expect(confirm).toBeDisabled();
		await question.getByRole('textbox').fill(name);
		await expect(confirm).toBeEnabled();
		await confirm.click();
		await expect(question).toHaveCount(0);
		await expect(page.getByRole('button', { name: `Team: ${next}` })).toBeVisible();
	}
	await expect(page.getByText('You are in no team. Create one, or ask')).toBeVisible();

	// A new team is acted for at once.
	await createTeam(page, 'Third');
	await openTeam(page, 'Third');
});
