/** What the pages of builds do when the server does not do its part; only here are answers made up. */
import { expect, test, type Page } from '@playwright/test';
import { admin, row, signIn } from './dashboard';

const ID = 'bld-of-nobody';
const TIME = '2026-03-01T12:00:00Z';

function build(change: Record<string, unknown> = {}) {
	return {
		id: ID,
		name: 'made-up',
		base_template: 'minimal',
		recipe: ['RUN true'],
		healthcheck: null,
		...{ vcpus: 1, memory_mb: 512, disk_size_mb: 5120 },
		...{ skip_pre_post: false, no_cache: false },
		...{ status: 'running', stage: 'steps', current_step: 1, total_steps: 1 },
		...{ logs: [], error: null, sandbox_id: null, host_id: null, template_id: null },
		...{ default_user: 'root', default_env: {}, attempt: 1 },
		...{ created_at: TIME, started_at: TIME, completed_at: null },
		...change
	};
}

const event = (name: string, data: unknown) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
const step = (change: Record<string, unknown> = {}) =>
	event('step', {
		...{ step: 1, phase: 'recipe', cmd: 'RUN count', stdout: '', stderr: '' },
		...{ exit: null, ok: null, elapsed_ms: 0, cached: false, started_at: TIME },
		...change
	});
const lines = (from: number, to: number) =>
	Array.from({ length: to - from + 1 }, (_, at) => from + at)
		.map((id) => `id: ${id}\n` + event('line', { step: 1, stream: 'stdout', text: `line ${id}` }))
		.join('');

/** Answers those who follow the build with one text after the other, and not while there is none. */
async function answer(page: Page, texts: string[]): Promise<string[]> {
	const asked: string[] = [];
	await page.route(`**/v1/admin/builds/${ID}/logs`, async (route) => {
		asked.push((await route.request().headerValue('last-event-id')) ?? '');
		const body = texts.shift();
		if (body === undefined) await route.abort();
		else await route.fulfill({ contentType: 'text/event-stream', body });
	});
	return asked;
}

test('a lost connection is said, and what was missed comes without what is known', async ({
	page
}) => {
	await signIn(page, admin());
	const texts = [
		step() + lines(1, 3000) + event('build', build()),
		step() + lines(2999, 3002) + event('build', build())
	];
	const asked = await answer(page, texts);
	await page.goto(`/admin/templates/builds/${ID}`);
	const output = page.getByRole('log', { name: 'Output of step 1' });
	await expect(output).toContainText('line 3000');
	await expect(page.getByText('connection lost')).toBeVisible();
	await expect(output).toContainText('line 3002');
	expect(asked.slice(0, 2)).toEqual(['', '3000']);
	expect((await output.innerText()).match(/line 3000\n/g)).toHaveLength(1);

	texts.push(
		step({ ok: true, exit: 0, elapsed_ms: 1_500 }) +
			event('build', build({ status: 'success', stage: null, completed_at: TIME })) +
			event('end', {})
	);
	await expect(page.getByTestId('status')).toHaveText('success', { timeout: 30_000 });
	await expect(page.getByText('connection lost')).toHaveCount(0);
	await expect(page.getByTestId('step-state')).toHaveText('done');
});

test('a build whose stream cannot be had is looked at, and followed once it can', async ({
	page
}) => {
	await signIn(page, admin());
	const texts: string[] = [];
	await answer(page, texts);
	let now = build({ current_step: 1, total_steps: 2 });
	const ended = {
		...{ step: 1, phase: 'recipe', cmd: 'RUN count', stdout: 'line 3000\n', stderr: '' },
		...{ exit: 0, ok: true, elapsed_ms: 1_500, cached: false, started_at: TIME }
	};
	await page.route(`**/v1/admin/builds/${ID}`, (route) => route.fulfill({ json: now }));
	await page.goto(`/admin/templates/builds/${ID}`);
	await expect(page.getByText('not live, looked at every 3 seconds')).toBeVisible();
	await expect(page.getByText('step 1 of 2').first()).toBeVisible();

	now = build({ current_step: 2, total_steps: 2, logs: [ended] });
	await expect(page.getByText('step 2 of 2').first()).toBeVisible();
	await page.getByRole('button', { name: 'RUN count' }).click();
	await expect(page.getByRole('log', { name: 'Output of step 1' })).toContainText('line 3000');

	texts.push(
		step({ ok: true, exit: 0 }) +
			lines(1, 3000) +
			event('build', build({ status: 'success', stage: null, completed_at: TIME })) +
			event('end', {})
	);
	await expect(page.getByTestId('status')).toHaveText('success', { timeout: 30_000 });
	await expect(page.getByText('not live')).toHaveCount(0);
	await expect(page.getByRole('log', { name: 'Output of step 1' })).toContainText('line 2999');
});

test('whoever reads is not dragged to the end, and what stands there is left alone', async ({
	page
}) => {
	await signIn(page, admin());
	let cut = () => undefined as void;
	const isRead = new Promise<void>((resolve) => (cut = resolve));
	let count = 0;
	await page.route(`**/v1/admin/builds/${ID}/logs`, async (route) => {
		count += 1;
		if (count === 2) await isRead;
		const text = count === 1 ? lines(1, 3000) : lines(3001, 6000) + event('end', {});
		await route.fulfill({
			contentType: 'text/event-stream',
			body: step() + text + event('build', build())
		});
	});
	await page.goto(`/admin/templates/builds/${ID}`);
	const output = page.getByRole('log', { name: 'Output of step 1' });
	await expect(output).toContainText('line 3000');
	const top = () => output.evaluate((element) => element.scrollTop);
	await expect.poll(top).toBeGreaterThan(10_000);
	await output.evaluate((element) => element.scrollTo({ top: 500 }));
	await expect(page.getByRole('button', { name: 'To the end' })).toBeVisible();
	await output.evaluate((element) => {
		const touched: string[] = [];
		new MutationObserver((records) => {
			for (const { target } of records) touched.push(target.textContent?.slice(0, 7) ?? '');
		}).observe(element.firstElementChild!, { subtree: true, childList: true, characterData: true });
		Object.assign(window, { touched });
	});

	cut();
	await expect(output).toContainText('line 6000');
	expect(await top()).toBe(500);
	const touched = await page.evaluate(() => (window as unknown as { touched: string[] }).touched);
	expect(touched).toEqual([]);
	await page.getByRole('button', { name: 'To the end' }).click();
	await expect.poll(top).toBeGreaterThan(50_000);
});

test('an image that comes with the platform stays, and the question says so', async ({ page }) => {
	await signIn(page, admin());
	await page.goto('/admin/templates');
	await page.getByRole('button', { name: 'More for minimal' }).click();
	await page.getByRole('menuitem', { name: 'Delete minimal' }).click();
	const question = page.getByRole('alertdialog');
	await question.getByRole('button', { name: 'Delete' }).click();
	await expect(question.getByRole('alert')).toContainText('comes with the platform, and stays');
	await question.getByRole('button', { name: 'Cancel' }).click();
	await expect(row(page, 'minimal')).toBeVisible();
});

test('a template that is needed stays, with the names of what needs it', async ({ page }) => {
	await signIn(page, admin());
	await page.route('**/v1/admin/templates/minimal?*', (route) =>
		route.fulfill({
			status: 409,
			json: {
				error: { code: 'conflict', message: 'template `minimal` is needed: capsule cl-seven' }
			}
		})
	);
	await page.goto('/admin/templates');
	await page.getByRole('button', { name: 'More for minimal' }).click();
	await page.getByRole('menuitem', { name: 'Delete minimal' }).click();
	const question = page.getByRole('alertdialog');
	await question.getByRole('button', { name: 'Delete' }).click();
	await expect(question.getByRole('alert')).toContainText('cl-seven');
	await question.getByRole('button', { name: 'Cancel' }).click();
	await expect(row(page, 'minimal')).toBeVisible();
});

test('a build that cannot be there is not asked for again and again', async ({ page }) => {
	await signIn(page, admin());
	let asked = 0;
	page.on('request', (request) => {
		if (request.url().includes('/v1/admin/builds/')) asked += 1;
	});
	await page.goto(`/admin/templates/builds/${ID}`);
	await expect(page.getByRole('alert')).toContainText('The build cannot be shown.');
	await expect(page.getByText('connection lost')).toHaveCount(0);
	expect(asked).toBe(1);
	await page.getByRole('button', { name: 'Try again' }).click();
	await expect.poll(() => asked).toBe(2);
	await expect(page.getByRole('alert')).toContainText('The build cannot be shown.');
});
