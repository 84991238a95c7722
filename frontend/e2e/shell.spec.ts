/** The frame of all pages: teams, the palette, the news that all tabs share, and the keyboard. */
import { createServer, request as ask, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test, type Page } from '@playwright/test';
import {
	admin,
	call,
	changeSession,
	createCapsule,
	destroyCapsule,
	mainNavigation,
	open,
	row,
	signIn,
	signUp,
	storedSession,
	stranger,
	waitUntilRunning
} from './dashboard';

/** Stands in front of the server and writes down what is asked, by workers too. */
async function countRequests(target: string) {
	const asked: string[] = [];
	const openStreams = new Set<IncomingMessage>();
	const server = createServer((incoming, answer) => {
		const path = incoming.url ?? '/';
		asked.push(path);
		const forwarded = ask(
			new URL(path, target),
			{ method: incoming.method, headers: incoming.headers },
			(response) => {
				answer.writeHead(response.statusCode ?? 502, response.headers);
				response.pipe(answer);
				if (path === '/v1/events') {
					openStreams.add(response);
					response.on('close', () => openStreams.delete(response));
				}
			}
		);
		forwarded.on('error', () => answer.destroy());
		answer.on('close', () => forwarded.destroy());
		incoming.pipe(forwarded);
	});
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	const { port } = server.address() as AddressInfo;
	return {
		origin: `http://127.0.0.1:${port}`,
		asked,
		openStreams,
		close: () => {
			server.closeAllConnections();
			server.close();
		}
	};
}

/** Lets the page believe that nobody, or somebody, can see it. */
async function turn(page: Page, state: 'hidden' | 'visible'): Promise<void> {
	await page.evaluate((state) => {
		Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => state });
		document.dispatchEvent(new Event('visibilitychange'));
	}, state);
}

/** Waits for a button in a page whose clock stands, and lets it pass less than the time of the next look without news. */
async function showsSoon(page: Page, name: string): Promise<void> {
	let passedMs = 0;
	await expect(async () => {
		if (passedMs < 3_000) await page.clock.runFor(250);
		passedMs += 250;
		await expect(page.getByRole('button', { name })).toBeVisible({ timeout: 500 });
	}).toPass({ timeout: 20_000 });
}

const palette = (page: Page) => page.getByRole('dialog', { name: 'Find or do' });
const capsulesHeading = (page: Page) =>
	page.getByRole('heading', { name: 'Capsules', exact: true, level: 1 });

test('a second team is made and switched to, and shows nothing of the first', async ({ page }) => {
	await signUp(page, stranger());
	const switcher = page.getByRole('button', { name: /^Team:/ });
	const first = (await switcher.innerText()).trim();
	await open(page, 'API keys');
	await page.getByRole('button', { name: 'Create key' }).click();
	await page.getByLabel('Name').fill('of the first team');
	await page.getByRole('button', { name: 'Create', exact: true }).click();
	await page.getByRole('button', { name: 'Done' }).click();
	await expect(row(page, 'of the first team')).toBeVisible();

	await switcher.click();
	await page.getByRole('menuitem', { name: 'Create team' }).click();
	await page.getByRole('dialog').getByLabel('Name').fill('The second');
	await page.getByRole('dialog').getByRole('button', { name: 'Create team' }).click();
	await expect(switcher).toHaveText('The second');
	await open(page, 'API keys');
	await expect(page.getByText('No API keys yet')).toBeVisible();
	await expect(row(page, 'of the first team')).toHaveCount(0);

	await switcher.click();
	await page.getByRole('menuitem', { name: first }).click();
	await expect(switcher).toHaveText(first);
	await open(page, 'API keys');
	await expect(row(page, 'of the first team')).toBeVisible();
});

test('the team that was chosen last counts, in whatever order the answers come', async ({
	page
}) => {
	await signUp(page, stranger());
	const made: Record<string, string> = {};
	for (const name of ['Second', 'Third']) {
		const answer = await call(page, 'POST', '/v1/teams', { name });
		made[name] = ((await answer.json()) as { id: string }).id;
	}
	await page.reload();
	/** Lets the answers to what was asked come, by the id of the team. */
	const answers: Record<string, () => void> = {};
	const answered: string[] = [];
	await page.route('**/v1/auth/switch-team', async (route) => {
		const { team_id } = route.request().postDataJSON() as { team_id: string };
		const response = await route.fetch();
		await new Promise<void>((resolve) => (answers[team_id] = resolve));
		// The page may have given it up.
		await route.fulfill({ response }).catch(() => undefined);
		answered.push(team_id);
	});
	const switcher = page.getByRole('button', { name: /^Team:/ });
	for (const name of ['Second', 'Third']) {
		await switcher.click();
		await page.getByRole('menuitem', { name }).click();
		await expect.poll(() => made[name]! in answers).toBe(true);
	}
	answers[made['Third']!]?.();
	await expect(switcher).toHaveText('Third');
	answers[made['Second']!]?.();
	await expect.poll(() => answered).toEqual([made['Third'], made['Second']]);
	// Two frames later, the page has done with the answer whatever it does.
	await page.evaluate(
		() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))
	);
	expect((await storedSession(page))?.team_id).toBe(made['Third']);
	await expect(switcher).toHaveText('Third');

	// Keys of the first team that come late are not shown in the third.
	let late: (() => void) | undefined;
	await open(page, 'API keys');
	await page.route('**/v1/api-keys', async (route) => {
		await new Promise<void>((resolve) => (late = resolve));
		const made_up = {
			id: 'key-1',
			name: 'of the third team',
			key_prefix: 'wrn_x',
			scopes: ['read']
		};
		const time = '2026-01-01T00:00:00Z';
		const json = [
			{ ...made_up, created_at: time, last_used: null, expires_at: null, created_by: null }
		];
		await route.fulfill({ json }).catch(() => undefined);
	});
	await page.reload();
	await expect.poll(() => late !== undefined).toBe(true);
	await page.unroute('**/v1/api-keys');
	await page.unroute('**/v1/auth/switch-team');
	await switcher.click();
	await page.getByRole('menuitem', { name: 'Second' }).click();
	await expect(switcher).toHaveText('Second');
	late?.();
	await open(page, 'API keys');
	await expect(page.getByText('No API keys yet')).toBeVisible();
	await expect(row(page, 'of the third team')).toHaveCount(0);
	expect((await storedSession(page))?.team_id).toBe(made['Second']);
});

test('somebody without a team is told so, and cannot create what belongs to one', async ({
	page
}) => {
	await signUp(page, stranger());
	const session = await storedSession(page);
	await call(page, 'DELETE', `/v1/teams/${session?.team_id}`);
	await changeSession(page, { team_id: '' });
	await page.reload();
	await expect(page.getByText('You are in no team.').first()).toBeVisible();
	const create = page.getByRole('button', { name: 'Create capsule' }).first();
	await expect(create).toHaveAttribute('aria-disabled', 'true');
	await expect(create).toHaveAttribute('title', 'You are in no team.');

	await page.getByRole('status').getByRole('button', { name: 'Create team' }).click();
	await page.getByRole('dialog').getByLabel('Name').fill('A new beginning');
	await page.getByRole('dialog').getByRole('button', { name: 'Create team' }).click();
	await expect(page.getByRole('button', { name: 'Team: A new beginning' })).toBeVisible();
	await open(page, 'Capsules');
	await expect(create).toHaveAttribute('aria-disabled', 'false');
});

test('the administration is there for administrators of the platform only', async ({
	page,
	browser
}) => {
	await signIn(page, admin());
	await mainNavigation(page).getByRole('link', { name: 'Administration' }).click();
	await expect(page).toHaveURL(/\/admin\/templates$/);
	const administration = page.getByRole('navigation', { name: 'Administration' });
	const names = ['Templates', 'Hosts', 'Teams', 'Users', 'Capsules', 'Audit log', 'Settings'];
	await expect(administration.getByRole('link')).toHaveText([...names, 'Dashboard']);
	await administration.getByRole('link', { name: 'Dashboard' }).click();
	await expect(mainNavigation(page)).toBeVisible();
	const other = await browser.newPage();
	await signUp(other, stranger());
	await expect(mainNavigation(other).getByRole('link', { name: 'Team' })).toBeVisible();
	await expect(mainNavigation(other).getByRole('link', { name: 'Administration' })).toHaveCount(0);
	await other.close();
});

test('old addresses lead to the new pages', async ({ page }) => {
	await signIn(page, admin());
	const moved: Record<string, RegExp> = {
		'/': /\/dashboard\/capsules\/list$/,
		'/dashboard': /\/dashboard\/capsules\/list$/,
		'/dashboard/capsules': /\/dashboard\/capsules\/list$/,
		'/dashboard/members': /\/dashboard\/team$/,
		'/dashboard/snapshots': /\/dashboard\/templates$/,
		'/admin': /\/admin\/templates$/,
		'/keys': /\/dashboard\/keys$/,
		'/builds': /\/admin\/templates\/builds$/
	};
	for (const [from, to] of Object.entries(moved)) {
		await page.goto(from);
		await expect(page).toHaveURL(to);
	}
	await page.goto('/dashboard/nothing');
	await expect(page.getByText('There is no such page.')).toBeVisible();
});

test('all tabs share one stream of news, and hidden ones ask for nothing', async ({
	browser,
	baseURL
}) => {
	const counter = await countRequests(baseURL ?? '');
	const context = await browser.newContext({ baseURL: counter.origin });
	try {
		await context.clock.install();
		const first = await context.newPage();
		await signUp(first, stranger());
		const others = [await context.newPage(), await context.newPage()];
		for (const other of others) {
			await other.goto('/dashboard/capsules/list');
			await expect(capsulesHeading(other)).toBeVisible();
		}
		await expect.poll(() => counter.openStreams.size).toBe(1);

		await test.step('what one tab does shows in the others', async () => {
			await open(first, 'API keys');
			const session = await storedSession(first);
			const tabs = [first, ...others];
			for (const tab of tabs) await tab.clock.pauseAt(Date.now() + 1_000);
			await call(first, 'PATCH', `/v1/teams/${session?.team_id}`, { name: 'Renamed meanwhile' });
			for (const tab of tabs) await showsSoon(tab, 'Team: Renamed meanwhile');
			for (const tab of tabs) await tab.clock.resume();
		});

		await test.step('nobody looks, nothing is asked', async () => {
			for (const each of [first, ...others]) await turn(each, 'hidden');
			await expect.poll(() => counter.openStreams.size, { timeout: 20_000 }).toBe(0);
			const before = counter.asked.length;
			// While somebody looks, lists are asked for every 30 s.
			for (const each of [first, ...others]) await each.clock.runFor('10:00');
			// Behind it, everything that a timer began has been asked for.
			await first.evaluate(() => fetch('/health'));
			expect(counter.asked.slice(before)).toEqual(['/health']);
		});

		await test.step('somebody looks again', async () => {
			await turn(others[0]!, 'visible');
			await expect.poll(() => counter.openStreams.size).toBe(1);
			const before = counter.asked.length;
			await others[0]!.clock.runFor('01:00');
			await expect.poll(() => counter.asked.slice(before)).toContain('/v1/capsules');
		});
	} finally {
		await context.close();
		counter.close();
	}
});

test('a capsule is created, found, used and destroyed from the keyboard alone', async ({
	page
}) => {
	await signUp(page, stranger());
	const press = (...keys: string[]) =>
		keys.reduce((done, key) => done.then(() => page.keyboard.press(key)), Promise.resolve());
	/** Presses Tab until what is wanted has the focus. */
	const tabTo = async (wanted: ReturnType<Page['locator']>) => {
		await expect(async () => {
			await press('Tab');
			await expect(wanted).toBeFocused({ timeout: 50 });
		}).toPass({ intervals: [0], timeout: 20_000 });
	};

	await test.step('create', async () => {
		await press('Control+k');
		await expect(palette(page)).toBeVisible();
		await page.keyboard.type('create a caps');
		await press('Enter');
		await expect(page.getByRole('dialog', { name: 'Create capsule' })).toBeVisible();
		await tabTo(page.getByRole('dialog').getByRole('button', { name: 'Create', exact: true }));
		await press('Enter');
		await expect(page.getByRole('dialog')).toHaveCount(0);
	});
	await expect(page.getByRole('row').nth(1)).toContainText('cl-');
	const id = /cl-\w+/.exec(await page.getByRole('row').nth(1).innerText())?.[0] ?? '';
	await waitUntilRunning(page, id);

	await test.step('find, and open a terminal', async () => {
		await press('Control+k');
		await page.keyboard.type(id.slice(0, -2));
		await press('Enter');
		await expect(page).toHaveURL(new RegExp(`/dashboard/capsules/${id}$`));
		await tabTo(
			page.getByRole('navigation', { name: 'This capsule' }).getByRole('link', { name: 'Terminal' })
		);
		await press('Enter');
		await expect(page).toHaveURL(/\/terminal$/);
		await expect(page.getByTestId('terminal-status')).toHaveText('connected', { timeout: 60_000 });
		await page.keyboard.type('echo typed-$((6 * 7))');
		await press('Enter');
		await expect(page.locator('.xterm-rows')).toContainText('typed-42', { timeout: 60_000 });
		// Every other key belongs to the shell.
		await press('Control+Shift+ArrowUp');
		await expect(page.getByRole('tab', { selected: true })).toBeFocused();
	});

	await test.step('destroy, and come back to where one was', async () => {
		await press('Control+k');
		await page.keyboard.type('capsules');
		await press('Enter');
		await expect(capsulesHeading(page)).toBeVisible();
		const destroy = page.getByRole('button', { name: `Destroy ${id}` });
		await tabTo(destroy);
		expect(
			await destroy.evaluate((button) => getComputedStyle(button).outlineStyle),
			'the focus is visible'
		).toBe('solid');
		await press('Enter');
		await expect(page.getByRole('alertdialog')).toBeVisible();
		await press('Escape');
		await expect(page.getByRole('alertdialog')).toHaveCount(0);
		await expect(destroy).toBeFocused();
		await press('Enter');
		await tabTo(page.getByRole('alertdialog').getByRole('button', { name: 'Destroy' }));
		await press('Enter');
		await expect(row(page, id)).toHaveCount(0, { timeout: 60_000 });
	});
});

test('the badge counts what runs, on every page', async ({ page }) => {
	await signUp(page, stranger());
	const id = await createCapsule(page);
	await waitUntilRunning(page, id);
	await open(page, 'API keys');
	await expect(page.getByTestId('running-badge')).toContainText('1 capsule running');
	await open(page, 'Capsules');
	await destroyCapsule(page, id);
	await expect(page.getByTestId('running-badge')).toHaveCount(0);
});
