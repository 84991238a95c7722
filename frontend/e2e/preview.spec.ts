/** A web server in a capsule, opened in the same browser. */
import { readFileSync } from 'node:fs';
import { expect, test } from '@playwright/test';
import {
	admin,
	createCapsule,
	destroyCapsule,
	exec,
	openTab,
	signIn,
	waitUntilRunning
} from './dashboard';

const PORT = 8080;
const PATIENCE = { timeout: 60_000 };
/** The server that the end-to-end tests use, too: its page talks over a WebSocket and hears an event. */
const SITE = readFileSync(
	new URL('../../cli/tests/e2e/previews/site.py', import.meta.url),
	'base64'
);
const SERVE = `echo ${SITE} | base64 -d > /tmp/site.py &&
	(setsid python3 /tmp/site.py ${PORT} > /dev/null 2>&1 &)`;

test('a port is opened with the token, without one, and for everybody', async ({
	page,
	context,
	browser
}) => {
	test.slow();
	await signIn(page, admin());
	const id = await createCapsule(page);

	try {
		await waitUntilRunning(page, id);
		await exec(page, id, SERVE);
		const up = `for i in $(seq 100); do curl -s localhost:${PORT} && exit; sleep 0.3; done; exit 1`;
		expect(await exec(page, id, up)).toContain('From inside');
		await page.getByRole('link', { name: id }).click();
		await openTab(page, 'Preview');

		await test.step('the link of the page leads there', async () => {
			await page.getByRole('textbox', { name: 'Port' }).fill('not a port');
			await expect(page.getByText('from 1 to 65535')).toBeVisible();
			await page.getByRole('textbox', { name: 'Port' }).fill(String(PORT));
			const opening = context.waitForEvent('page');
			await page.getByRole('link', { name: 'Open preview' }).click();
			const preview = await opening;
			await expect(preview.getByRole('heading', { name: 'From inside' })).toBeVisible(PATIENCE);
			await expect(preview.getByText('heard from the browser')).toBeVisible(PATIENCE);
			await expect(preview.getByText('event tick')).toBeVisible(PATIENCE);
			await preview.close();
		});

		const link = page.getByRole('link', { name: 'Open preview' });
		const old = (await link.getAttribute('href')) ?? '';
		const stranger = await browser.newContext();
		const visitor = await stranger.newPage();

		await test.step('who has no token stays outside', async () => {
			const answer = await visitor.goto(new URL('/', old).href);
			expect(answer?.ok()).toBe(false);
		});

		await test.step('a new token makes old links useless', async () => {
			await page.getByRole('button', { name: 'New token' }).click();
			const question = page.getByRole('alertdialog');
			await question.getByRole('button', { name: 'Make a new token' }).click();
			await expect(link).not.toHaveAttribute('href', old);
			expect((await visitor.goto(old))?.ok()).toBe(false);
			const fresh = (await link.getAttribute('href')) ?? '';
			await visitor.goto(fresh);
			await expect(visitor.getByRole('heading', { name: 'From inside' })).toBeVisible(PATIENCE);
		});

		await test.step('a public one needs none', async () => {
			await page.getByRole('radio', { name: 'Everybody' }).check();
			await expect(link).not.toHaveAttribute('href', /wrenn_token/);
			const other = await browser.newContext();
			const passerBy = await other.newPage();
			await passerBy.goto((await link.getAttribute('href')) ?? '');
			await expect(passerBy.getByRole('heading', { name: 'From inside' })).toBeVisible(PATIENCE);
			await other.close();
		});
		await stranger.close();
	} finally {
		await page.goto('/capsules');
		await destroyCapsule(page, id);
	}
});
