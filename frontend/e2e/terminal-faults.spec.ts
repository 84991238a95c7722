/** What a terminal does when its socket does not do its part; only here is a socket made up. */
import { expect, test, type Page, type WebSocketRoute } from '@playwright/test';
import { admin, signIn, withoutNews } from './dashboard';

const ID = 'cl-made-up';

interface Script {
	/** What the server says to the first frame after the token. */
	answer: (socket: WebSocketRoute, frame: { type: string; tag?: string }) => void;
	status?: () => string;
}

function say(socket: WebSocketRoute, ...frames: object[]): void {
	for (const frame of frames) socket.send(JSON.stringify(frame));
}

const output = (text: string) => ({ type: 'output', data: Buffer.from(text).toString('base64') });
const status = (page: Page) => page.getByTestId('terminal-status');
const screen = (page: Page) => page.locator('.xterm-rows');

/** Opens the terminals of a capsule that is not there; returns the types of the frames it got. */
async function openTerminal(page: Page, { answer, status = () => 'running' }: Script) {
	const got: string[] = [];
	await signIn(page, admin());
	await page.route(`**/v1/capsules/${ID}`, (route) =>
		route.fulfill({ json: { ...CAPSULE, status: status() } })
	);
	await page.route('**/processes', (route) => route.fulfill({ json: { processes: [] } }));
	await page.routeWebSocket(/\/pty$/, (socket) => {
		socket.onMessage((message) => {
			const frame = JSON.parse(String(message)) as { type: string; tag?: string };
			got.push(frame.type);
			if (frame.type === 'start' || frame.type === 'connect') answer(socket, frame);
		});
	});
	await page.goto(`/capsules/${ID}/terminal`);
	return got;
}

const CAPSULE = {
	id: ID,
	template: 'minimal',
	vcpus: 1,
	memory_mb: 512,
	disk_size_mb: 5120,
	timeout_sec: 0,
	metadata: {},
	warnings: [],
	default_user: 'root',
	created_at: '2026-03-01T12:00:00Z',
	last_updated: '2026-03-01T12:00:00Z'
};

test('a program that cannot be started is lost, with the reason, and a new one can be tried', async ({
	page
}) => {
	let isBroken = true;
	const got = await openTerminal(page, {
		answer: (socket, { tag }) => {
			if (!isBroken) say(socket, { type: 'started', tag, pid: 7 });
			else say(socket, { type: 'error', data: 'there is no program /bin/bash', fatal: true });
		}
	});
	await expect(status(page)).toHaveText('lost: there is no program /bin/bash');
	expect(got).toEqual(['auth', 'start']);

	isBroken = false;
	await page.getByRole('button', { name: 'New terminal' }).last().click();
	await expect(status(page)).toHaveText('connected');
});

test('a connection that keeps failing is tried again, and takes up the same program', async ({
	page
}) => {
	let attempts = 0;
	const got = await openTerminal(page, {
		answer: (socket, { tag }) => {
			attempts += 1;
			if (attempts === 1) {
				say(socket, { type: 'started', tag, pid: 7 }, output('before the cut\r\n'));
				setTimeout(() => void socket.close({ code: 3000, reason: 'the line was cut' }), 500);
			} else if (attempts < 4) void socket.close({ code: 3000, reason: 'still cut' });
			else say(socket, { type: 'started', tag, pid: 7 }, output('kept\r\n'));
		}
	});
	await expect(screen(page)).toContainText('before the cut');
	await expect(status(page)).toContainText('still cut; it runs on, and is reconnected in', {
		timeout: 20_000
	});
	await expect(status(page)).toHaveText('connected', { timeout: 30_000 });
	await expect(screen(page)).toContainText('kept');
	// What was kept is shown once more, and not a second time.
	await expect(screen(page)).not.toContainText('before the cut');
	expect(got.filter((type) => type === 'start')).toHaveLength(1);
});

test('a capsule that is paused is not woken by its terminal', async ({ page }) => {
	let isPaused = false;
	let wakings = 0;
	let cut: () => void = () => undefined;
	// Nobody tells of a capsule that is made up, so the page must look by itself.
	await withoutNews(page);
	await openTerminal(page, {
		status: () => (isPaused ? 'paused' : 'running'),
		answer: (socket, { tag }) => {
			if (isPaused) wakings += 1;
			say(socket, { type: 'started', tag, pid: 7 });
			cut = () => say(socket, { type: 'error', data: 'the capsule was paused', fatal: true });
		}
	});
	await expect(status(page)).toHaveText('connected');
	isPaused = true;
	cut();
	await expect(status(page)).toHaveText('the capsule is paused; this goes on when it runs');
	await page.evaluate(() => window.dispatchEvent(new Event('online')));
	await expect(page.getByRole('button', { name: 'Resume' }).first()).toBeEnabled();
	expect(wakings).toBe(0);

	isPaused = false;
	await expect(status(page)).toHaveText('connected', { timeout: 20_000 });
});

test('output that was not kept is missed where it is missing', async ({ page }) => {
	await openTerminal(page, {
		answer: (socket, { tag }) =>
			say(
				socket,
				{ type: 'started', tag, pid: 7 },
				output('one\r\n'),
				{ type: 'dropped', bytes: 2048 },
				output('three\r\n'),
				{ type: 'from a later version' },
				{ type: 'error', data: 'a small mistake', fatal: false },
				{ type: 'exit', exit_code: 0 }
			)
	});
	await expect(screen(page)).toContainText('[2.0 KB of output were not kept]');
	await expect(screen(page)).toContainText('three');
	await expect(page.getByRole('alert')).toHaveText('a small mistake');
	await expect(status(page)).toHaveText('ended with exit code 0');
});
