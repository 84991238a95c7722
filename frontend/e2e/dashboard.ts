/** The steps the journeys are made of, in the words of somebody who uses the dashboard. */
import { expect, type APIResponse, type Locator, type Page } from '@playwright/test';

/** The fields of a session that the dashboard keeps. */
export interface Session {
	token: string;
	user_id: string;
	team_id: string;
	email: string;
	name: string;
}

export interface Credentials {
	email: string;
	password: string;
}

/** Emulated machines are slow to boot while others keep both cores busy. */
const RUNNING_WITHIN_MS = 90_000;
const SETTLED_WITHIN_MS = 60_000;

/** The account that the environment names. */
export function admin(): Credentials {
	return { email: required('WRENN_ADMIN_EMAIL'), password: required('WRENN_ADMIN_PASSWORD') };
}

function required(name: string): string {
	const value = process.env[name];
	if (!value) throw new Error(`${name} is not set; \`source\` the dev.env that \`up\` has written`);
	return value;
}

/** An account that does not exist yet. */
export function stranger(): Credentials & { name: string } {
	const unique = `${Date.now().toString(36)}-${process.pid}`;
	return { name: 'A Stranger', email: `journey-${unique}@example.org`, password: `pw-${unique}` };
}

/** An account that does not exist yet, with a name of its own. */
export function person(name: string): Credentials & { name: string } {
	const account = stranger();
	return {
		...account,
		name: `${name} ${Date.now().toString(36)}`,
		email: `${name.toLowerCase()}-${account.email}`
	};
}

export async function fillIn(page: Page, { email, password }: Credentials): Promise<void> {
	await page.getByLabel('Email').fill(email);
	await page.getByLabel('Password').fill(password);
}

export async function signIn(page: Page, credentials: Credentials): Promise<void> {
	await page.goto('/login');
	await fillIn(page, credentials);
	await page.getByRole('button', { name: 'Sign in' }).click();
	await expect(page.getByRole('heading', { name: 'Capsules', exact: true })).toBeVisible();
}

export async function signUp(page: Page, account: Credentials & { name: string }): Promise<void> {
	await page.goto('/login');
	await page.getByRole('tab', { name: 'Sign up' }).click();
	await page.getByLabel('Name').fill(account.name);
	await fillIn(page, account);
	await page.getByRole('button', { name: 'Create account' }).click();
	await expect(page.getByRole('heading', { name: 'Capsules', exact: true })).toBeVisible();
}

export async function signOut(page: Page): Promise<void> {
	await page.getByRole('button', { name: 'Account' }).click();
	await page.getByRole('button', { name: 'Sign out' }).click();
	await expect(page.getByRole('button', { name: 'Sign in', exact: true })).toBeVisible();
}

/** Opens one of the pages that the sidebar names. */
export async function open(
	page: Page,
	name:
		'Capsules' | 'Templates' | 'Usage' | 'Team' | 'API keys' | 'Channels' | 'Audit log' | 'Settings'
): Promise<void> {
	await mainNavigation(page).getByRole('link', { name }).click();
	await expect(page.getByRole('heading', { name, exact: true, level: 1 })).toBeVisible();
}

export function mainNavigation(page: Page): Locator {
	return page.getByRole('navigation', { name: 'Main' });
}

/**
 * Takes away the news of the server, before the page is opened: it then looks at everything by itself, every few seconds. Without
 * shared workers a page follows the events alone, and then its requests can be refused.
 */
export async function withoutNews(page: Page): Promise<void> {
	await page.addInitScript(() => Reflect.deleteProperty(window, 'SharedWorker'));
	await page.route('**/v1/events', (route) => route.abort());
}

/** Creates a capsule with the defaults and returns its id. */
export async function createCapsule(page: Page): Promise<string> {
	await page.getByRole('button', { name: 'Create capsule' }).click();
	const created = page.waitForResponse(
		(response) => response.request().method() === 'POST' && response.url().endsWith('/v1/capsules')
	);
	await page.getByRole('dialog').getByRole('button', { name: 'Create', exact: true }).click();
	const { id } = (await (await created).json()) as { id: string };
	await expect(row(page, id)).toBeVisible();
	return id;
}

export function row(page: Page, id: string) {
	return page.getByRole('row').filter({ hasText: id });
}

export async function waitUntilRunning(page: Page, id: string): Promise<void> {
	await expect(row(page, id).getByText('running', { exact: true }).first()).toBeVisible({
		timeout: RUNNING_WITHIN_MS
	});
	await expect(row(page, id)).not.toContainText('starting', { timeout: RUNNING_WITHIN_MS });
}

/** Runs a command on the page of a capsule, whichever of its tabs is open, and returns what it printed. */
export async function run(page: Page, command: string): Promise<string> {
	await openTab(page, 'Commands');
	const input = page.getByRole('textbox', { name: 'Command' });
	await input.fill(command);
	await input.press('Enter');
	const entry = page.getByRole('log').getByRole('article').last();
	await expect(entry.getByText(/^exit \d+$/)).toBeVisible({ timeout: SETTLED_WITHIN_MS });
	return entry.innerText();
}

export async function destroyCapsule(page: Page, id: string): Promise<void> {
	await row(page, id)
		.getByRole('button', { name: `Destroy ${id}` })
		.click();
	await page.getByRole('alertdialog').getByRole('button', { name: 'Destroy' }).click();
	await expect(row(page, id)).toHaveCount(0, { timeout: SETTLED_WITHIN_MS });
}

/** The id of the capsule whose page is open, whichever of its tabs that is. */
export function shownCapsule(page: Page): string {
	return /\/capsules\/([^/]+)/.exec(new URL(page.url()).pathname)?.[1] ?? '';
}

/** Opens one of the tabs of the capsule that the page shows. */
export async function openTab(
	page: Page,
	name: 'Stats' | 'Terminal' | 'Files' | 'Processes' | 'Preview' | 'Commands'
): Promise<void> {
	const link = page.getByRole('navigation', { name: 'This capsule' }).getByRole('link', { name });
	await link.click();
	await expect(link).toHaveAttribute('aria-current', 'page');
}

/** The session that a page keeps; null while nobody is signed in. */
export function storedSession(page: Page): Promise<Session | null> {
	return page.evaluate(
		() => JSON.parse(localStorage.getItem('wrenn.session') ?? 'null') as Session | null
	);
}

/** Changes the session that a page keeps; it takes that up when it is loaded again. */
export async function changeSession(page: Page, change: Partial<Session>): Promise<void> {
	await page.evaluate((change) => {
		const stored = JSON.parse(localStorage.getItem('wrenn.session') ?? '{}') as object;
		localStorage.setItem('wrenn.session', JSON.stringify({ ...stored, ...change }));
	}, change);
}

/** Calls the API beside the page, as its user; an error of the server is one of the test. */
export async function call(
	page: Page,
	method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE',
	path: string,
	data?: object
): Promise<APIResponse> {
	const session = await storedSession(page);
	const headers = { Authorization: `Bearer ${session?.token ?? ''}` };
	const answer = await page.request.fetch(path, { method, headers, data, timeout: 90_000 });
	expect(answer.ok(), `${method} ${path}: ${answer.status()}`).toBe(true);
	return answer;
}

/** Runs a command as root in a capsule, beside the page, and returns what it printed. */
export async function exec(page: Page, id: string, cmd: string): Promise<string> {
	const answer = await call(page, 'POST', `/v1/capsules/${id}/exec`, {
		...{ cmd, user: 'root', timeout_sec: 60 }
	});
	const { exit_code, stdout, stderr } = (await answer.json()) as Record<string, unknown>;
	expect(exit_code, String(stderr)).toBe(0);
	return String(stdout);
}

/** Remembers the WebSockets that pages open from now on, for {@link cutSockets}. */
export async function keepSockets(page: Page): Promise<void> {
	await page.addInitScript(() => {
		const sockets: WebSocket[] = [];
		window.WebSocket = class extends WebSocket {
			constructor(url: string | URL, protocols?: string | string[]) {
				super(url, protocols);
				sockets.push(this);
			}
		};
		Object.assign(window, { sockets });
	});
}

/** Closes every WebSocket of the page behind its back. */
export async function cutSockets(page: Page): Promise<void> {
	await page.evaluate(() => {
		const { sockets } = window as unknown as { sockets: WebSocket[] };
		for (const socket of sockets.splice(0)) socket.close();
	});
}
