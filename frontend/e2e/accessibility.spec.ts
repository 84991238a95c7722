/**
 * The main pages have no serious fault that axe finds. All pages, in all their states and with all dialogs, are looked at with the
 * pictures (`scripts/screenshots`).
 */
import { expect, test, type Page } from '@playwright/test';
import { violations } from './accessible';
import { admin, signIn } from './dashboard';
import { ROUTES, unpictured } from './screenshots/pages';

const TEAM_PAGES = [
	'/dashboard/capsules/list',
	'/dashboard/templates',
	'/dashboard/templates/builds/new',
	'/dashboard/team',
	'/dashboard/keys',
	'/dashboard/settings'
];
const ADMIN_PAGES = ['/admin/hosts', '/admin/teams', '/admin/users', '/admin/settings'];

async function look(page: Page, path: string): Promise<void> {
	await page.goto(path);
	await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
	await expect(page.getByText('Loading…')).toHaveCount(0);
	expect.soft(await violations(page), path).toEqual([]);
}

test.beforeEach(async ({ page }) => {
	// Elements that are still fading in have less contrast than they will have.
	await page.emulateMedia({ reducedMotion: 'reduce' });
});

test('every page has its pictures', () => {
	expect(unpictured(ROUTES), 'add them to e2e/screenshots/pages-*.ts').toEqual([]);
});

test('pages of those who are not signed in', async ({ page }) => {
	await page.goto('/login');
	await expect(page.getByRole('button', { name: 'Sign in' })).toBeVisible();
	expect.soft(await violations(page), 'signing in').toEqual([]);
	await page.getByRole('tab', { name: 'Sign up' }).click();
	expect.soft(await violations(page), 'signing up').toEqual([]);
});

test('pages of a team, and what opens over them', async ({ page }) => {
	await signIn(page, admin());
	for (const path of TEAM_PAGES) await look(page, path);
	await page.goto('/dashboard/capsules/list');
	await page.getByRole('button', { name: 'Create capsule' }).click();
	await expect(page.getByRole('dialog')).toBeVisible();
	expect.soft(await violations(page, '[role=dialog]'), 'creating a capsule').toEqual([]);
	await page.keyboard.press('Escape');
	await page.keyboard.press('Control+k');
	await expect(page.getByRole('dialog')).toBeVisible();
	expect.soft(await violations(page, '[role=dialog]'), 'the palette').toEqual([]);
});

test('pages of the administration', async ({ page }) => {
	await signIn(page, admin());
	for (const path of ADMIN_PAGES) await look(page, path);
});
