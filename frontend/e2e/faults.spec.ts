/** What the page does when the server does not do its part; only here are answers made up. */
import { expect, test, type Route } from '@playwright/test';
import { admin, changeSession, open, signIn, storedSession, withoutNews } from './dashboard';

const LIST = '**/v1/capsules';

function refuse(status: number, code: string, message: string) {
	return (route: Route) => route.fulfill({ status, json: { error: { code, message } } });
}

function capsule(id: string, status: string) {
	const time = '2026-03-01T12:00:00Z';
	const size = { vcpus: 1, memory_mb: 512, disk_size_mb: 5120, timeout_sec: 0 };
	return {
		id,
		status,
		...size,
		template: 'minimal',
		metadata: {},
		warnings: [],
		...{ operation: null, last_error: null, stop_reason: null, template_id: null, host_id: '' },
		...{ auto_resume: false, default_user: 'root', created_by: null },
		...{ preview_access: 'token', preview_url: '', preview_token: '' },
		...{ started_at: time, last_active_at: time },
		created_at: time,
		last_updated: time
	};
}

test('a refused token leads to the login with a notice, and back again after it', async ({
	page
}) => {
	await signIn(page, admin());
	await open(page, 'API keys');
	await changeSession(page, { token: 'worn.out.token' });
	await page.reload();
	await expect(page.getByRole('status').filter({ hasText: 'session has ended' })).toBeVisible();
	expect(await storedSession(page)).toBeNull();

	const { email, password } = admin();
	await page.getByLabel('Email').fill(email);
	await page.getByLabel('Password').fill(password);
	await page.getByRole('button', { name: 'Sign in' }).click();
	await expect(page.getByRole('heading', { name: 'API keys' })).toBeVisible();
});

test('a failing list keeps what was known, says so and recovers', async ({ page }) => {
	await withoutNews(page);
	const known = [capsule('cl-known', 'running')];
	await page.route(LIST, (route) => route.fulfill({ json: known }));
	await signIn(page, admin());
	await expect(page.getByText('cl-known')).toBeVisible();

	await page.route(LIST, refuse(500, 'internal_error', 'something broke'));
	await expect(page.getByRole('alert')).toContainText('something broke');
	await expect(page.getByText('cl-known')).toBeVisible();

	await page.route(LIST, (route) => route.abort());
	await expect(page.getByRole('alert')).toContainText('unreachable', { timeout: 20_000 });

	await page.unrouteAll();
	await page.route(LIST, (route) => route.fulfill({ json: known }));
	await expect(page.getByRole('alert')).toHaveCount(0, { timeout: 20_000 });
	await expect(page.getByText('cl-known')).toBeVisible();
});

test('rows that did not change are left alone', async ({ page }) => {
	await withoutNews(page);
	const answers = [
		[capsule('cl-one', 'running'), capsule('cl-two', 'starting')],
		[capsule('cl-one', 'running'), capsule('cl-two', 'running')]
	];
	let polls = 0;
	await page.route(LIST, (route) => route.fulfill({ json: answers[polls++ < 3 ? 0 : 1] }));
	await signIn(page, admin());
	await expect(page.getByText('cl-one')).toBeVisible();
	await page.evaluate(() => {
		const changed: string[] = [];
		new MutationObserver((records) => {
			for (const { target } of records) {
				const element = target instanceof Element ? target : target.parentElement;
				// Ages may tick.
				if (element?.closest('time')) continue;
				changed.push(element?.closest('[data-capsule]')?.getAttribute('data-capsule') ?? 'table');
			}
		}).observe(document.querySelector('tbody')!, {
			subtree: true,
			childList: true,
			characterData: true,
			attributes: true
		});
		Object.assign(window, { changed });
	});
	await expect.poll(() => polls).toBeGreaterThan(3);
	await expect(page.getByRole('row').filter({ hasText: 'cl-two' })).toContainText('running');
	const changed = await page.evaluate(() => (window as unknown as { changed: string[] }).changed);
	expect(new Set(changed)).toEqual(new Set(['cl-two']));
});

test('a capsule that cannot be destroyed stays, with the reason', async ({ page }) => {
	await page.route(LIST, (route) => route.fulfill({ json: [capsule('cl-stuck', 'running')] }));
	await page.route(
		'**/v1/capsules/cl-stuck',
		refuse(502, 'agent_error', 'the host did not answer')
	);
	await signIn(page, admin());
	await page.getByRole('button', { name: 'Destroy cl-stuck' }).click();
	await page.getByRole('alertdialog').getByRole('button', { name: 'Destroy' }).click();
	await expect(page.getByText('was not destroyed: the host did not answer')).toBeVisible();
	await expect(page.getByRole('link', { name: 'cl-stuck' })).toBeVisible();
});
