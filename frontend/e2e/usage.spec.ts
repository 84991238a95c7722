/** What a team has used, and how near its limits are. */
import { expect, test } from '@playwright/test';
import { signUp, stranger } from './dashboard';

const DAY_MS = 24 * 3_600_000;

test('a new team has used nothing, and has the limits of the platform', async ({ page }) => {
	await signUp(page, stranger());
	await page.goto('/dashboard/usage');
	await expect(page.getByText('Nothing was used in this period.')).toBeVisible();
	const limits = page.getByRole('region', { name: 'Limits now' });
	await expect(limits.getByRole('listitem').filter({ hasText: 'Running capsules' })).toContainText(
		'0'
	);
});

test('the days of a period are shown, and the choice stands in the address', async ({ page }) => {
	await signUp(page, stranger());
	// A team that has used something for months cannot be had otherwise.
	await page.route('**/v1/capsules/usage?*', (route) => {
		const query = new URL(route.request().url()).searchParams;
		const [from, to] = [query.get('from') ?? '', query.get('to') ?? ''];
		const days = (Date.parse(to) - Date.parse(from)) / DAY_MS + 1;
		const points = Array.from({ length: days }, (_, at) => ({
			date: new Date(Date.parse(from) + at * DAY_MS).toISOString().slice(0, 10),
			cpu_minutes: 60,
			ram_mb_minutes: 1024 * 60 * 2,
			disk_mb_minutes: 0,
			template_mb_minutes: 0
		}));
		return route.fulfill({ json: { from, to, points } });
	});
	await page.goto('/dashboard/usage?days=7');

	const days = page.getByRole('table').getByRole('row');
	await expect(days).toHaveCount(1 + 7);
	await expect(page.getByRole('button', { name: /^CPU 420/ })).toHaveAttribute(
		'aria-pressed',
		'true'
	);

	await page.getByRole('button', { name: /^Memory 14/ }).click();
	await expect(page).toHaveURL(/measure=memory/);
	await expect(page.getByRole('table', { name: /^Memory by day in GB h/ })).toBeAttached();

	await page.getByRole('button', { name: '90 days' }).click();
	await expect(page).toHaveURL(/days=90&measure=memory/);
	await expect(days).toHaveCount(1 + 90);
	await page.getByRole('button', { name: /^Disk 0/ }).click();
	await expect(page.getByText('Nothing was used in this period.')).toBeVisible();
});

test('limits that are near are said in words, and faults can be tried again', async ({ page }) => {
	await signUp(page, stranger());
	const none = { used: 0, limit: null };
	await page.route('**/v1/teams/*/quota', (route) =>
		route.fulfill({
			json: {
				running_capsules: { used: 9, limit: 10 },
				vcpus: none,
				memory_mb: { used: 5120, limit: 4096 },
				disk_mb: none,
				templates: { used: 3, limit: 3 },
				paused_capsules: none,
				concurrent_builds: none
			}
		})
	);
	await page.route('**/v1/capsules/usage?*', (route) => route.abort());
	await page.goto('/dashboard/usage');
	const line = (name: string) => page.getByRole('listitem').filter({ hasText: name });
	await expect(line('Running capsules')).toContainText('near the limit');
	await expect(line('Memory')).toContainText('5 GB of 4 GB');
	await expect(line('Memory')).toContainText('over the limit');
	await expect(line('vCPUs')).toContainText('no limit');

	await expect(page.getByRole('alert')).toContainText('The usage cannot be loaded.');
	await page.unroute('**/v1/capsules/usage?*');
	await page.getByRole('button', { name: 'Try again' }).click();
	await expect(page.getByText('Nothing was used in this period.')).toBeVisible();
});
