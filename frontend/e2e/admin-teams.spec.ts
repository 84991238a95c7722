/** All teams, as an administrator of the platform sees and changes them, and what their members see of that. */
import { expect, test, type Page } from '@playwright/test';
import {
	admin,
	call,
	createCapsule,
	destroyCapsule,
	mainNavigation,
	open,
	person,
	row,
	signIn,
	signOut,
	signUp,
	storedSession,
	waitUntilRunning
} from './dashboard';

const teamOf = ({ name }: { name: string }) => `${name}'s team`;

/** Opens the list of all teams, with those that a text finds. */
async function openTeams(page: Page, text: string): Promise<void> {
	await page.goto('/admin/teams');
	await expect(page.getByRole('heading', { name: 'Teams', exact: true })).toBeVisible();
	await page.getByRole('searchbox', { name: 'Name, id or owner' }).fill(text);
}

/** Sets one limit of the team that is shown, in its dialog. */
async function setLimit(page: Page, team: string, field: string, value: string): Promise<void> {
	await page.getByRole('button', { name: `Limits of ${team}` }).click();
	const dialog = page.getByRole('dialog', { name: `Limits of ${team}` });
	await dialog.getByLabel(field).fill(value);
	await dialog.getByRole('button', { name: 'Save' }).click();
	await expect(dialog).toHaveCount(0);
}

async function choose(page: Page, team: string, action: string): Promise<void> {
	await page.getByRole('button', { name: `More for ${team}` }).click();
	await page.getByRole('menuitem', { name: action }).click();
}

test('a limit is set, met and raised', async ({ page, browser }) => {
	test.setTimeout(420_000);
	const olga = person('Olga');
	const team = teamOf(olga);
	const context = await browser.newContext();
	const member = await context.newPage();
	await signUp(member, olga);
	await signIn(page, admin());
	await openTeams(page, olga.email);

	await test.step('what is no number is said beside its field, and nothing is saved', async () => {
		await page.getByRole('button', { name: `Limits of ${team}` }).click();
		const dialog = page.getByRole('dialog', { name: `Limits of ${team}` });
		const field = dialog.getByLabel('Running capsules');
		await expect(field).toBeFocused();
		await expect(dialog.getByText('0 in use now')).toBeVisible();
		await field.fill('one');
		await field.press('Enter');
		await expect(dialog.getByText('Running capsules must be a whole number.')).toBeVisible();
		await field.fill('9000000000000');
		await field.press('Enter');
		await expect(dialog.getByText('Must be at most 1000000000000.')).toBeVisible();
		await field.press('Escape');
		await expect(row(page, team)).toContainText('default');
		await expect(page.getByRole('button', { name: `Limits of ${team}` })).toBeFocused();
	});

	await setLimit(page, team, 'Running capsules', '1');
	await expect(row(page, team)).toContainText('1 set');

	const first = await createCapsule(member);
	await waitUntilRunning(member, first);
	await expect(row(page, team).getByRole('cell', { name: '1', exact: true })).toHaveCount(2, {
		timeout: 30_000
	});

	await test.step('the second capsule is refused, with the reason', async () => {
		await member.getByRole('button', { name: 'Create capsule' }).click();
		const dialog = member.getByRole('dialog');
		await dialog.getByRole('button', { name: 'Create', exact: true }).click();
		await expect(dialog.getByRole('alert')).toContainText(
			"running_capsules: the team's quota is 1, of which 1 is used"
		);
		await dialog.getByRole('button', { name: 'Cancel' }).click();
	});

	await test.step('the usage shows the limit', async () => {
		await open(member, 'Usage');
		const line = member.getByRole('listitem').filter({ hasText: 'Running capsules' });
		await expect(line).toContainText('1 of 1');
		await expect(line).toContainText('at the limit');
		// The page learns of the new limit by itself.
		await setLimit(page, team, 'Running capsules', '2');
		await expect(line).toContainText('1 of 2');
	});

	await open(member, 'Capsules');
	const second = await createCapsule(member);
	await waitUntilRunning(member, second);
	await destroyCapsule(member, first);
	await destroyCapsule(member, second);

	await test.step('without a number the default holds again', async () => {
		await setLimit(page, team, 'Running capsules', '');
		await expect(row(page, team)).toContainText('default');
	});
	await context.close();
});

test('a team that may bring hosts finds them in its sidebar, without signing in again', async ({
	page,
	browser
}) => {
	const olga = person('Olga');
	const team = teamOf(olga);
	const context = await browser.newContext();
	const member = await context.newPage();
	await signUp(member, olga);
	const hosts = mainNavigation(member).getByRole('link', { name: 'Your hosts' });
	await expect(hosts).toHaveCount(0);
	await signIn(page, admin());
	await openTeams(page, olga.email);

	await choose(page, team, `Allow ${team} to bring hosts`);
	const question = page.getByRole('alertdialog');
	await expect(question).toContainText('run on its own hosts only');
	await page.keyboard.press('Escape');
	await expect(page.getByRole('button', { name: `More for ${team}` })).toBeFocused();
	await choose(page, team, `Allow ${team} to bring hosts`);
	await question.getByRole('button', { name: 'Allow own hosts' }).click();
	await expect(row(page, team)).toContainText('allowed');
	await expect(hosts).toBeVisible();

	await page
		.getByRole('combobox', { name: 'Kind of team' })
		.selectOption('With hosts of their own');
	await choose(page, team, `Forbid ${team} to bring hosts`);
	await expect(question).toContainText('The hosts that it has brought stay');
	await question.getByRole('button', { name: 'Forbid own hosts' }).click();
	// The filter does not let it through any more.
	await expect(page.getByText('No team matches.')).toBeVisible();
	await expect(hosts).toHaveCount(0);
	await page.getByRole('button', { name: 'Show all' }).click();
	await expect(row(page, olga.email)).not.toContainText('allowed');
	await context.close();
});

test('any team is deleted only by its name, and stays in the list', async ({ page, browser }) => {
	const olga = person('Olga');
	const team = teamOf(olga);
	const context = await browser.newContext();
	const member = await context.newPage();
	await signUp(member, olga);
	const { team_id: id } = (await storedSession(member))!;
	await signIn(page, admin());
	await openTeams(page, id);

	await choose(page, team, `Delete ${team}`);
	const question = page.getByRole('alertdialog');
	const confirm = question.getByRole('button', { name: 'Delete team' });
	await expect(question).toContainText('all capsules, with disk and memory; 0 of them run now');
	await expect(question).toContainText('the membership of 1 person');
	await question.getByRole('textbox').fill(olga.name);
	await expect(confirm).toBeDisabled();
	await question.getByRole('textbox').fill(team);
	await confirm.click();
	await expect(question).toHaveCount(0);

	const deleted = row(page, id);
	await expect(deleted).toContainText('deleted');
	await expect(deleted).toContainText('no owner');
	await expect(deleted.getByRole('button', { name: `Limits of ${team}` })).toHaveAttribute(
		'title',
		'The team is deleted.'
	);
	await expect(member.getByRole('button', { name: 'Team: No team' })).toBeVisible();
	await context.close();
});

test('an administrator who deletes the team that they act for acts for none', async ({
	page,
	browser
}) => {
	const olga = person('Olga');
	const context = await browser.newContext();
	const other = await context.newPage();
	await signUp(other, olga);
	const { user_id: id } = (await storedSession(other))!;
	await signIn(page, admin());
	await call(page, 'PUT', `/v1/admin/users/${id}/admin`, { is_admin: true });
	await signOut(other);
	await signIn(other, olga);
	await openTeams(other, olga.email);
	await choose(other, teamOf(olga), `Delete ${teamOf(olga)}`);
	const question = other.getByRole('alertdialog');
	await question.getByRole('textbox').fill(teamOf(olga));
	await question.getByRole('button', { name: 'Delete team' }).click();
	await expect(question).toHaveCount(0);
	await expect(other.getByText('You are in no team. Create one, or ask')).toBeVisible();
	await expect(other.getByRole('table', { name: 'The teams of the platform' })).toBeVisible();
	await call(page, 'PUT', `/v1/admin/users/${id}/admin`, { is_admin: false });
	await context.close();
});

test('long lists come in parts, and a filter looks at all of it', async ({ page }) => {
	const total = 130;
	const teams = Array.from({ length: total }, (_, at) => ({
		id: `team-${at}`,
		name: `Team ${String(at).padStart(3, '0')}`,
		slug: `team-${at}`,
		is_byoc: false,
		created_at: new Date(Date.UTC(2026, 0, 1) - at * 60_000).toISOString(),
		deleted_at: null,
		owner_id: null,
		owner_name: null,
		owner_email: null,
		member_count: at,
		running_capsules: 0,
		quota: {}
	}));
	// So many teams cannot be had otherwise.
	await page.route('**/v1/admin/teams?*', (route) => {
		const query = new URL(route.request().url()).searchParams;
		const from = Number(query.get('after') ?? 0);
		const to = Math.min(from + Number(query.get('limit')), total);
		const headers = to < total ? { 'X-Next-Token': String(to) } : undefined;
		return route.fulfill({ json: teams.slice(from, to), headers });
	});
	await signIn(page, admin());
	await page.goto('/admin/teams');
	const rows = page.getByRole('table').getByRole('row');
	await expect(rows).toHaveCount(1 + 50);
	await expect(page.getByText('The newest 50 teams')).toBeVisible();
	await page.getByRole('button', { name: 'Show more' }).click();
	await expect(rows).toHaveCount(1 + 100);

	await page.getByRole('searchbox', { name: 'Name, id or owner' }).fill('Team 129');
	await expect(rows).toHaveCount(1 + 1);
	await expect(page.getByText('1 team found')).toBeVisible();
	await page.getByRole('searchbox', { name: 'Name, id or owner' }).fill('');

	await page.getByRole('button', { name: 'Members' }).click();
	await expect(rows.nth(1)).toContainText('Team 129');
	await expect(page.getByRole('columnheader', { name: 'Members' })).toHaveAttribute(
		'aria-sort',
		'ascending'
	);
	await page.getByRole('button', { name: 'Members' }).click();
	await expect(rows.nth(1)).toContainText('Team 000');
});

test('a list that cannot be loaded says so, and comes by itself', async ({ page }) => {
	await signIn(page, admin());
	await page.route('**/v1/admin/teams?*', (route) => route.abort());
	await page.goto('/admin/teams');
	await expect(page.getByRole('alert')).toContainText('The list cannot be loaded yet.');
	await page.unroute('**/v1/admin/teams?*');
	await expect(page.getByRole('table', { name: 'The teams of the platform' })).toBeVisible();
	await expect(page.getByRole('alert')).toHaveCount(0);

	await page.getByRole('combobox', { name: 'Kind of team' }).selectOption('Not deleted');
	await page.route('**/v1/admin/teams/*/quota', (route) => route.abort());
	await page.route('**/v1/admin/settings', (route) => route.abort());
	await page
		.getByRole('button', { name: /^Limits of / })
		.first()
		.click();
	const dialog = page.getByRole('dialog');
	await expect(dialog.getByRole('alert')).toContainText('The defaults and the present use');
	await page.unroute('**/v1/admin/settings');
	await dialog.getByRole('button', { name: 'Try again' }).click();
	await expect(dialog.getByText('in use now').first()).toBeVisible();
	await dialog.getByRole('button', { name: 'Save' }).click();
	await expect(dialog.getByRole('alert')).toContainText('The server cannot be reached.');
});

test('members of teams are told that this is not for them', async ({ page }) => {
	await signUp(page, person('Olga'));
	await page.goto('/admin/teams');
	await expect(page.getByText('Only for admins of the platform')).toBeVisible();
	const answer = await call(page, 'GET', '/v1/me');
	expect(((await answer.json()) as { is_admin: boolean }).is_admin).toBe(false);
});
