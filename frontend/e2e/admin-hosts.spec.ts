/** Hosts as an administrator of the platform manages them: the platform's own, and those that teams have brought. */
import { expect, test, type Page } from '@playwright/test';
import { admin, call, row, signIn, signUp, storedSession, stranger } from './dashboard';
import { allowHosts, commandShown, createHost, deleteEmptyHost, retag } from './hosts';
import { JOINED, Machine } from './machine';

const BOOTED = { timeout: 90_000 };

const tabs = (page: Page) => page.getByRole('navigation', { name: 'Kinds of hosts' });
const stats = (page: Page) => page.getByRole('region', { name: 'All of these hosts' });

/** Counts the rows that slide in, from before the page is opened. */
async function countSlides(page: Page): Promise<() => Promise<number>> {
	await page.addInitScript(() => {
		const slid = new Set<Element>();
		Object.assign(window, { slid });
		const animate: Element['animate'] = Reflect.get(Element.prototype, 'animate');
		Element.prototype.animate = function (...args) {
			if (this instanceof HTMLTableRowElement) slid.add(this);
			return animate.apply(this, args);
		};
	});
	return () => page.evaluate(() => (window as unknown as { slid: Set<Element> }).slid.size);
}

test('a host of the platform is made, tagged and deleted', async ({ page }) => {
	const slides = await countSlides(page);
	await signIn(page, admin());
	await page.goto('/admin/hosts');
	const local = row(page, 'local').filter({ hasText: 'online' });
	const provider = `journey ${Date.now().toString(36)}`;
	const host = row(page, provider);

	await test.step('what capsules hold of the hosts is shown', async () => {
		await expect(local).toBeVisible();
		await expect(local).toContainText(/\d+ of \d+/);
		await expect(stats(page)).toContainText(/Online\s*\d+ of \d+/);
		await expect(stats(page)).toContainText(/Memory\s*[\d.]+( [MG]B)? of [\d.]+ GB/);
		expect(await slides()).toBe(0);
	});

	await test.step('a new host slides in, with a command to run', async () => {
		await createHost(page, provider);
		await expect(host).toContainText('pending');
		expect(await slides()).toBe(1);
		await host.getByRole('button', { name: /^Make a new token/ }).click();
		await commandShown(page);
		await retag(page, host, 'gpu', 'wrong');
	});

	await test.step('it is not among the hosts of teams', async () => {
		await tabs(page).getByRole('link', { name: 'BYOC' }).click();
		await expect(page).toHaveURL(/\?kind=byoc$/);
		await expect(tabs(page).getByRole('link', { name: 'BYOC' })).toHaveAttribute(
			'aria-current',
			'page'
		);
		await expect(host).toHaveCount(0);
		await expect(page.getByRole('button', { name: 'Create host' })).toHaveCount(0);
		await page.goBack();
		await expect(host).toBeVisible();
		expect(await slides()).toBe(1);
	});

	await test.step('it is deleted', async () => {
		await deleteEmptyHost(page, host);
	});
});

test('a row does not move for those who want less motion', async ({ page }) => {
	await page.emulateMedia({ reducedMotion: 'reduce' });
	const slides = await countSlides(page);
	await signIn(page, admin());
	await page.goto('/admin/hosts');
	const provider = `still ${Date.now().toString(36)}`;
	await createHost(page, provider);
	const host = row(page, provider);
	await expect(host).toBeVisible();
	expect(await slides()).toBe(0);
	await host.getByRole('button', { name: /^Delete host-/ }).click();
	await page.getByRole('alertdialog').getByRole('button', { name: 'Delete' }).click();
	await expect(host).toHaveCount(0);
});

test('while hosts are loaded their outline is shown, and an error says why there are none', async ({
	page
}) => {
	await signIn(page, admin());
	let release = () => {};
	const held = new Promise<void>((resolve) => (release = resolve));
	await page.route('**/v1/hosts', async (route) => {
		await held;
		await route.fulfill({
			status: 503,
			json: { error: { code: 'overloaded', message: 'The server has too much to do.' } }
		});
	});
	await page.goto('/admin/hosts');
	await expect(page.getByRole('status').filter({ hasText: 'Loading' })).toBeAttached();
	release();
	await expect(page.getByText('The list cannot be loaded yet.')).toBeVisible();
	await page.unroute('**/v1/hosts');
	await expect(row(page, 'local').filter({ hasText: 'online' })).toBeVisible();
	await expect(page.getByText('The list cannot be loaded yet.')).toHaveCount(0);
});

test('others than administrators are told whose page it is', async ({ page }) => {
	await signUp(page, stranger());
	await page.goto('/admin/hosts');
	await expect(page.getByRole('button', { name: 'Create host' })).toHaveCount(0);
	await expect(page.getByRole('link', { name: 'Back to the capsules' })).toBeVisible();
});

test('the host of a team is deleted with the capsule on it', async ({ page, browser, request }) => {
	test.setTimeout(420_000);
	const machine = new Machine();
	const owner = await browser.newPage();
	try {
		await signUp(owner, { ...stranger(), name: 'Robin Weaver' });
		await allowHosts(request, (await storedSession(owner))?.team_id ?? '');
		await owner.goto('/dashboard/byoc');
		machine.run(await createHost(owner, 'attic'));

		await signIn(page, admin());
		await page.goto('/admin/hosts?kind=byoc');
		const host = page.getByRole('row').filter({ hasText: 'attic' });
		await machine.until(() => expect(host).toContainText('online', JOINED));
		await expect(host).toContainText('Robin Weaver');

		const made = await call(owner, 'POST', '/v1/capsules', { template: 'minimal' });
		const { id } = (await made.json()) as { id: string };
		await expect(async () => {
			const answer = await call(owner, 'GET', `/v1/capsules/${id}`);
			expect(((await answer.json()) as { status: string }).status).toBe('running');
		}).toPass(BOOTED);

		await test.step('the capsule counts', async () => {
			await expect(host).toContainText('1 of', { timeout: 30_000 });
			await expect(stats(page)).toContainText(/Capsules\s*[1-9]/);
		});

		await test.step('the question names it, and it ends with the host', async () => {
			await host.getByRole('button', { name: /^Delete host-/ }).click();
			const question = page.getByRole('alertdialog');
			await expect(question.getByText('1 capsule will be destroyed:')).toBeVisible();
			await expect(question.getByText(id)).toBeVisible();
			await question.getByRole('button', { name: 'Delete it with 1 capsule' }).click();
			await expect(host).toHaveCount(0);
			await machine.hasLeft();
			const answer = await call(owner, 'GET', `/v1/capsules/${id}`);
			expect(((await answer.json()) as { status: string }).status).toBe('stopped');
		});
	} finally {
		await owner.close();
		await machine.remove();
	}
});
