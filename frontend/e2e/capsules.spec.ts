/** The list of capsules: found, sorted, and many of them acted on at once. */
import { expect, test, type Page } from '@playwright/test';
import { admin, createCapsule, row, signIn, signUp, stranger, waitUntilRunning } from './dashboard';

const DONE_WITHIN_MS = 90_000;

/** The ids of the rows, from top to bottom. */
function idsOf(page: Page): Promise<string[]> {
	return page.getByRole('row').getByRole('link').allInnerTexts();
}

function tick(page: Page, id: string) {
	return page.getByRole('checkbox', { name: `Select ${id}`, exact: true });
}

/** Capsules as the server would list them, newest first. */
function madeUp(count: number) {
	return Array.from({ length: count }, (_, at) => ({
		id: `cl-${String(at).padStart(25, '0')}`,
		status: at % 3 === 0 ? 'paused' : 'running',
		operation: null,
		last_error: null,
		stop_reason: null,
		template: at % 2 === 0 ? 'minimal' : 'python',
		template_id: null,
		host_id: 'host-1',
		vcpus: 1 + (at % 4),
		memory_mb: 512,
		disk_size_mb: 5120,
		timeout_sec: 0,
		auto_resume: false,
		default_user: 'root',
		metadata: {},
		warnings: [],
		preview_access: 'token',
		preview_url: '',
		preview_token: '',
		created_by: { type: 'user', id: 'usr-1', name: at % 5 === 0 ? 'Somebody Else' : 'Cara' },
		created_at: new Date(Date.UTC(2026, 0, 1) - at * 60_000).toISOString(),
		started_at: null,
		last_active_at: new Date(Date.UTC(2026, 0, 2)).toISOString(),
		last_updated: new Date(Date.UTC(2026, 0, 1)).toISOString()
	}));
}

test('two capsules are found, sorted, selected, paused and destroyed together', async ({
	page
}) => {
	const account = stranger();
	await signUp(page, account);
	const first = await createCapsule(page);
	const second = await createCapsule(page);
	await waitUntilRunning(page, first);
	await waitUntilRunning(page, second);

	await test.step('the list says who made them', async () => {
		await expect(row(page, first)).toContainText(account.name);
	});

	await test.step('it is filtered, and the address keeps that', async () => {
		await page.getByLabel('Filter capsules').fill(second.slice(-8));
		await expect(row(page, first)).toHaveCount(0);
		await expect(row(page, second)).toBeVisible();
		await expect(page).toHaveURL(/\?q=/);
		await page.reload();
		await expect(page.getByLabel('Filter capsules')).toHaveValue(second.slice(-8));
		await expect(row(page, second)).toBeVisible();
		await expect(row(page, first)).toHaveCount(0);
		await page.getByLabel('Filter capsules').fill('');
		await page.getByLabel('Status').selectOption('hibernated');
		await expect(page.getByText('No capsule matches.')).toBeVisible();
		await page.getByRole('button', { name: 'Show all' }).click();
		await expect(page).toHaveURL(/\/list$/);
	});

	await test.step('it is sorted by a column, both ways', async () => {
		expect(await idsOf(page)).toEqual([second, first]);
		const head = page.getByRole('columnheader', { name: 'Age' });
		await expect(head).toHaveAttribute('aria-sort', 'ascending');
		await head.getByRole('button').press('Enter');
		await expect(head).toHaveAttribute('aria-sort', 'descending');
		await expect(page).toHaveURL(/sort=-age/);
		expect(await idsOf(page)).toEqual([first, second]);
	});

	await test.step('both are paused after one question', async () => {
		await tick(page, first).click();
		await tick(page, second).click({ modifiers: ['Shift'] });
		const selection = page.getByRole('group', { name: 'Selected capsules' });
		await expect(selection).toContainText('2 selected');
		await expect(selection.getByRole('button', { name: 'Resume' })).toHaveAttribute(
			'aria-disabled',
			'true'
		);
		await selection.getByRole('button', { name: 'Pause' }).click();
		const dialog = page.getByRole('alertdialog');
		await expect(dialog).toContainText('Pause 2 capsules?');
		await dialog.getByRole('button', { name: 'Pause' }).click();
		await expect(page.getByLabel('Filter capsules')).toBeFocused();
		await expect(page.getByText('2 capsules are paused')).toBeVisible({ timeout: DONE_WITHIN_MS });
		await expect(row(page, first)).toContainText('paused');
		await expect(row(page, second)).toContainText('paused');
	});

	await test.step('both are destroyed after one question', async () => {
		await page.getByRole('checkbox', { name: 'Select all' }).check();
		await page
			.getByRole('group', { name: 'Selected capsules' })
			.getByRole('button', { name: 'Destroy' })
			.click();
		const dialog = page.getByRole('alertdialog');
		await expect(dialog).toContainText('Destroy 2 capsules?');
		await expect(dialog).toContainText('Their disks and memory are deleted');
		await dialog.getByRole('button', { name: 'Destroy' }).click();
		await expect(page.getByText('2 capsules are destroyed')).toBeVisible({
			timeout: DONE_WITHIN_MS
		});
		await expect(page.getByRole('heading', { name: 'No capsules yet' })).toBeVisible();
	});

	await test.step('the page of one says that it is gone, and what happened to it', async () => {
		await page.goto(`/dashboard/capsules/${first}`);
		await expect(page.getByRole('heading', { name: 'The capsule is gone.' })).toBeVisible();
		const history = page.getByRole('region', { name: 'History' });
		await expect(history.getByRole('listitem').first()).toContainText('Destroyed');
		await expect(history.getByRole('listitem').first()).toContainText(`by ${account.name}`);
		await expect(history.getByRole('listitem').last()).toContainText('Created');
	});
});

test('a thousand capsules are shown page by page, and found at once', async ({ page }) => {
	const all = madeUp(1000);
	await page.route('**/v1/capsules', (route) => route.fulfill({ json: all }));
	await signIn(page, admin());
	await expect(page.getByText('1–50 of 1,000')).toBeVisible();
	// The head is a row, too.
	await expect(page.getByRole('row')).toHaveCount(51);

	await page.getByRole('button', { name: 'Next page' }).click();
	await expect(page.getByText('51–100 of 1,000')).toBeVisible();
	await expect(page).toHaveURL(/page=2/);

	await page.getByLabel('Filter capsules').pressSequentially('somebody');
	await expect(page.getByText('200 of 1,000 capsules')).toBeVisible();
	await expect(page.getByLabel('Filter capsules')).toBeFocused();
	await expect(page.getByLabel('Filter capsules')).toHaveValue('somebody');

	await page.getByRole('checkbox', { name: 'Select all' }).check();
	await expect(page.getByText('200 selected')).toBeVisible();
	// What is not shown any more is not meant any more.
	await page.getByLabel('Status').selectOption('paused');
	await expect(page.getByText('67 selected')).toBeVisible();
});

test('what failed of many is said once, with the reasons, and few are asked for at a time', async ({
	page
}) => {
	let rows = madeUp(9);
	/** Lets the server answer what it was asked for and has not answered yet. */
	let answers: (() => void)[] = [];
	let most = 0;
	await page.route('**/v1/capsules', (route) => route.fulfill({ json: rows }));
	await page.route('**/v1/capsules/cl-*', async (route) => {
		const id = new URL(route.request().url()).pathname.split('/').pop();
		await new Promise<void>((resolve) => {
			answers.push(resolve);
			most = Math.max(most, answers.length);
		});
		if (id?.endsWith('3')) {
			const error = { code: 'agent_error', message: 'the host did not answer' };
			await route.fulfill({ status: 502, json: { error } });
			return;
		}
		rows = rows.filter((one) => one.id !== id);
		await route.fulfill({ status: 204 });
	});
	await signIn(page, admin());
	await page.getByRole('checkbox', { name: 'Select all' }).check();
	await page
		.getByRole('group', { name: 'Selected capsules' })
		.getByRole('button', { name: 'Destroy' })
		.click();
	await page.getByRole('alertdialog').getByRole('button', { name: 'Destroy' }).click();
	for (const underWay of [4, 4, 1]) {
		await expect.poll(() => answers.length).toBe(underWay);
		answers.forEach((answer) => answer());
		answers = [];
	}
	const failed = `8 capsules are destroyed. Failed: the host did not answer (cl-${'3'.padStart(25, '0')})`;
	await expect(page.getByText(failed)).toBeVisible();
	expect(most).toBe(4);
	await expect(page.getByRole('row')).toHaveCount(2);
});
