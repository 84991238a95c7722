/** The administration of the platform: the capsules and the audit log of all teams, and the settings. */
import { readFile } from 'node:fs/promises';
import { expect, test, type Page } from '@playwright/test';
import { admin, call, row, signIn, signUp, stranger, type Session } from './dashboard';

/** Machines are emulated; the list is asked for every few seconds. */
const PATIENCE = { timeout: 90_000 };

/** Makes an account with a team of its own, beside the page, and a way to call the API as its user. */
async function somebody(page: Page) {
	const account = { ...stranger(), name: `Wilma ${Date.now().toString(36)}` };
	const answer = await page.request.post('/v1/auth/signup', { data: account });
	expect(answer.ok()).toBe(true);
	const session = (await answer.json()) as Session;
	const headers = { Authorization: `Bearer ${session.token}` };
	return {
		account,
		session,
		/** The name of the team. */
		team: `${account.name}'s team`,
		call: async (method: 'POST' | 'DELETE', path: string, data?: object) => {
			const answered = await page.request.fetch(path, { method, headers, data, timeout: 90_000 });
			expect(answered.ok(), `${method} ${path}: ${answered.status()}`).toBe(true);
			return answered;
		}
	};
}

async function openAdmin(page: Page, name: 'Capsules' | 'Audit log' | 'Settings'): Promise<void> {
	await page
		.getByRole('navigation', { name: 'Administration' })
		.getByRole('link', { name, exact: true })
		.click();
	await expect(page.getByRole('heading', { name, exact: true, level: 1 })).toBeVisible();
}

test('an admin finds the capsule of a team, and leaves it to the team', async ({ page }) => {
	const wilma = await somebody(page);
	const body = { template: 'minimal' };
	const created = await wilma.call('POST', '/v1/capsules', body);
	const { id } = (await created.json()) as { id: string };
	try {
		await signIn(page, admin());
		await page.goto('/admin/templates');
		await openAdmin(page, 'Capsules');
		await expect(row(page, id)).toContainText(wilma.team, PATIENCE);
		await expect(row(page, id)).toContainText('minimal');
		await expect(row(page, id).getByText('running', { exact: true }).first()).toBeVisible(PATIENCE);
		await expect(row(page, id)).toContainText('host-');

		await test.step('only its team opens it', async () => {
			const open = row(page, id).getByRole('button', { name: `Open ${id}` });
			await expect(open).toHaveAttribute('aria-disabled', 'true');
			await expect(open).toHaveAttribute('title', 'It belongs to another team.');
		});

		await test.step('filters stand in the address, and come back with it', async () => {
			await page.getByLabel('Team', { exact: true }).selectOption(wilma.team);
			await expect(page).toHaveURL(/team=team-/);
			await page.getByLabel('Status', { exact: true }).selectOption('running');
			await page.getByLabel('Host', { exact: true }).selectOption({ index: 1 });
			await page.getByRole('searchbox').fill(id.toUpperCase());
			await expect(page).toHaveURL(/status=running.*host=host-/);
			await page.reload();
			await expect(page.getByRole('searchbox')).toHaveValue(id.toUpperCase());
			await expect(page.getByText(/^1 of |^1 capsule$/)).toBeVisible(PATIENCE);
			await expect(row(page, id)).toBeVisible();
		});

		await test.step('what does not match is shown again', async () => {
			await page.getByLabel('Status', { exact: true }).selectOption('error');
			await expect(page.getByText('No capsule matches.')).toBeVisible();
			await page.getByRole('button', { name: 'Show all' }).click();
			await expect(row(page, id)).toBeVisible();
			await expect(page).toHaveURL(/\/admin\/capsules$/);
		});
	} finally {
		await wilma.call('DELETE', `/v1/capsules/${id}`);
	}
	await expect(row(page, id)).toHaveCount(0, PATIENCE);
});

test('an admin reads the audit log of all teams, and exports what matches', async ({ page }) => {
	const wilma = await somebody(page);
	await wilma.call('POST', '/v1/api-keys', { name: 'first key' });
	await signIn(page, admin());
	await page.goto('/admin/templates');
	await openAdmin(page, 'Audit log');

	await test.step('the entries of a team are found by its user', async () => {
		await page.getByLabel('Kind').selectOption('API keys');
		const entry = row(page, wilma.team);
		await expect(entry).toContainText(wilma.account.name);
		await expect(entry).toContainText('key-');
		await entry.getByRole('button', { name: /^Details/ }).click();
		await expect(page.getByText(wilma.session.team_id)).toBeVisible();
		await page.getByRole('button', { name: 'Only this actor' }).click();
		await expect(page).toHaveURL(new RegExp(`actor=${wilma.session.user_id}`));
		await expect(page.getByLabel('Actor id')).toHaveValue(wilma.session.user_id);
		await page.getByLabel('Kind').selectOption('All');
		await expect(row(page, 'Sign up')).toHaveCount(1);
		await expect(row(page, 'Create an API key')).toHaveCount(1);
	});

	await test.step('they are exported, with their team', async () => {
		const download = page.waitForEvent('download');
		await page.getByRole('button', { name: 'Export what matches as CSV' }).click();
		const text = await readFile(await (await download).path(), 'utf8');
		const [head, ...lines] = text.trim().split('\r\n');
		expect(head).toMatch(/,team_id,team_name$/);
		expect(lines).toHaveLength(2);
		for (const line of lines) expect(line).toContain(wilma.session.team_id);
	});

	await test.step('changes of the platform are in it', async () => {
		await page.getByRole('button', { name: 'Clear' }).click();
		await page.getByLabel('Kind').selectOption('Settings of the platform');
		await expect(page).toHaveURL(/resource=server/);
		await page.getByLabel('Action').selectOption('Change the settings of the platform');
		await expect(page).toHaveURL(/action=settings.set/);
	});
});

test('an admin changes the settings of the platform, and changes them back', async ({ page }) => {
	await signIn(page, admin());
	const before: unknown = await (await call(page, 'GET', '/v1/admin/settings')).json();
	// So much that no other journey comes near it.
	const limit = String(900_000 + (Date.now() % 1_000));
	const field = page.getByLabel('Templates', { exact: true });
	const save = page.getByRole('button', { name: 'Save' });
	await page.goto('/admin/templates');
	await openAdmin(page, 'Settings');
	try {
		await expect(page.getByText('Everything is saved.')).toBeVisible();
		await expect(save).toHaveAttribute('aria-disabled', 'true');

		await test.step('what is wrong is said at its field', async () => {
			await field.fill('many');
			await save.click();
			await expect(page.getByText('Templates must be a whole number.')).toBeVisible();
			await field.fill('2000000000000');
			await save.click();
			await expect(page.getByText('Must be at most 1000000000000.')).toBeVisible();
			await expect(page.getByText('1 change is not saved.')).toBeVisible();
		});

		await test.step('leaving asks about what is not saved', async () => {
			await field.fill(limit);
			await page
				.getByRole('navigation', { name: 'Administration' })
				.getByRole('link', { name: 'Audit log' })
				.click();
			const question = page.getByRole('alertdialog');
			await question.getByRole('button', { name: 'Go on editing' }).click();
			await expect(page).toHaveURL(/\/admin\/settings$/);
			await expect(field).toHaveValue(limit);
		});

		await test.step('it is saved, and there after a reload', async () => {
			await field.press('Enter');
			await expect(page.getByText('The settings are saved')).toBeVisible();
			await expect(page.getByText('Everything is saved.')).toBeVisible();
			await page.reload();
			await expect(field).toHaveValue(limit);
		});

		await test.step('a field that is emptied is no limit', async () => {
			await field.fill('');
			await expect(page.getByText(/Not saved\. Still /)).toBeVisible();
			await page.getByRole('button', { name: 'Discard' }).click();
			await expect(field).toHaveValue(limit);
			await field.fill('');
			await save.click();
			await expect(page.getByText('Everything is saved.')).toBeVisible();
			const { quota } = (await (await call(page, 'GET', '/v1/admin/settings')).json()) as {
				quota: Record<string, unknown>;
			};
			expect(quota['templates']).toBeNull();
		});
	} finally {
		await call(page, 'PUT', '/v1/admin/settings', before as object);
	}
});

test('a new key signs tokens, after a question about the sessions that are open', async ({
	page
}) => {
	await signIn(page, admin());
	await page.goto('/admin/settings');
	const ask = page.getByRole('button', { name: 'New key' });
	const question = page.getByRole('alertdialog');

	await test.step('the sessions are kept', async () => {
		await ask.press('Enter');
		await expect(question.getByRole('radio', { name: 'Keep them' })).toBeChecked();
		await question.getByRole('button', { name: 'Make a new key' }).click();
		await expect(page.getByText(/^Tokens are signed with the key /)).toBeVisible();
		await expect(question).toHaveCount(0);
		await expect(ask).toBeFocused();
		await page.reload();
		await expect(page.getByText('Everything is saved.')).toBeVisible();
	});

	await test.step('or they are ended', async () => {
		// Made up: it would end the sessions of everybody who uses the server.
		let asked: unknown;
		await page.route('**/v1/admin/settings/token-key', async (route) => {
			asked = route.request().postDataJSON();
			await route.fulfill({ json: { id: 'key-of-nobody' } });
		});
		await ask.click();
		await question.getByRole('radio', { name: 'End them all' }).check();
		await question.getByRole('button', { name: 'Make a new key' }).click();
		await expect(page.getByText(/all sessions are ended/)).toBeVisible();
		expect(asked).toEqual({ end_sessions: true });
	});

	await test.step('a fault is said in the question', async () => {
		await page.unroute('**/v1/admin/settings/token-key');
		await page.route('**/v1/admin/settings/token-key', (route) => route.abort());
		await ask.click();
		await question.getByRole('button', { name: 'Make a new key' }).click();
		await expect(question.getByRole('alert')).toContainText('The server cannot be reached.');
	});
});

test('lists and settings that cannot be loaded say so', async ({ page }) => {
	await signIn(page, admin());
	await page.route(/\/v1\/admin\/(capsules|settings)/, (route) => route.abort());
	await page.goto('/admin/capsules');
	await expect(page.getByRole('alert')).toContainText('The list cannot be loaded yet.');
	await page.goto('/admin/settings');
	await expect(page.getByRole('alert')).toContainText('The settings cannot be loaded.');
	await page.unroute(/\/v1\/admin\/(capsules|settings)/);
	await page.getByRole('button', { name: 'Try again' }).click();
	await expect(page.getByText('Everything is saved.')).toBeVisible();
});

test('the administration is for admins of the platform', async ({ page }) => {
	await signUp(page, stranger());
	for (const path of ['/admin/capsules', '/admin/audit', '/admin/settings']) {
		await page.goto(path);
		await expect(page.getByRole('heading', { name: 'Only for admins' })).toBeVisible();
	}
});
