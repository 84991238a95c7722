/** Statistics of the team and of a capsule; answers are made up only where the real ones are never the same, or never late. */
import { expect, test, type Page } from '@playwright/test';
import {
	admin,
	call,
	createCapsule,
	exec,
	run,
	signIn,
	signUp,
	stranger,
	waitUntilRunning
} from './dashboard';

const MEASURED_WITHIN_MS = 60_000;
const STATS = '**/v1/capsules/stats?*';

/** The chart with a name, as it is told to those who do not see it. */
function chart(page: Page, title: string) {
	return page.getByRole('img', { name: new RegExp(`^${title}`) });
}

/** The answer for a range: one capsule in each of a few buckets. */
function madeUpStats(range: string, running = 1) {
	const values = [0, running, running, 2 * running];
	return {
		range,
		current: {
			running_count: running,
			vcpus_reserved: running,
			memory_mb_reserved: 512 * running,
			sampled_at: '2026-03-01T12:00:00Z'
		},
		peaks: { running_count: 7, vcpus: 9, memory_mb: 4096 },
		series: {
			labels: values.map((_, at) => `2026-03-01T12:0${at}:00Z`),
			running: values,
			vcpus: values,
			memory_mb: values.map((value) => value * 512)
		}
	};
}

/** The measurements of a capsule over a range, which use more and more of its processor. */
function madeUpMetrics(range: string, value = 1) {
	const points = [0, value, value, 2 * value].map((cpu_pct, at) => ({
		...{ timestamp_unix: 1_772_366_400 + at, cpu_pct, mem_bytes: 1024, disk_bytes: 2048 },
		...{ net_in_bytes: 100 * at, net_out_bytes: 0 }
	}));
	return { sandbox_id: 'cl-1', range, step_sec: 1, source: 'live', points };
}

/** Destroys the capsule whose page it was. */
async function leave(page: Page, path: string) {
	const id = /\/capsules\/(cl-[^/]+)$/.exec(path)?.[1];
	if (id) await call(page, 'DELETE', `/v1/capsules/${id}`);
}

const rangeOf = (url: string) => new URL(url).searchParams.get('range') ?? '';

async function setVisibility(page: Page, state: 'visible' | 'hidden') {
	await page.evaluate((state) => {
		Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });
		document.dispatchEvent(new Event('visibilitychange'));
	}, state);
}

test('a capsule that works shows it, and its history', async ({ page }) => {
	const account = stranger();
	await signUp(page, account);
	const id = await createCapsule(page);
	await waitUntilRunning(page, id);
	await exec(page, id, 'timeout 120 sh -c "while :; do :; done" > /dev/null 2>&1 &');

	await test.step('the team’s statistics count it', async () => {
		await page.getByRole('link', { name: 'Stats' }).click();
		await expect(chart(page, 'Running capsules')).toBeVisible();
		const cards = page.getByRole('term').filter({ hasText: 'Running' }).locator('..').first();
		await expect(cards).toContainText('1');
		await page.getByRole('link', { name: '5 minutes' }).click();
		await expect(page.getByText('Last 5 minutes')).toBeVisible();
		await expect(page).toHaveURL(/range=5m/);
		await expect(chart(page, 'vCPUs and memory reserved')).toHaveAttribute(
			'aria-label',
			/Memory: 512 MB now/
		);
	});

	await test.step('its page shows that it works', async () => {
		await page.goto(`/dashboard/capsules/${id}?range=5m`);
		await expect(page.getByText('Last 5 minutes')).toBeVisible({ timeout: MEASURED_WITHIN_MS });
		const most = async () => {
			const text = await chart(page, 'CPU').getAttribute('aria-label');
			return Number(/CPU used: .* most ([\d.]+) %/.exec(text ?? '')?.[1] ?? 0);
		};
		await expect.poll(most, { timeout: MEASURED_WITHIN_MS }).toBeGreaterThan(5);
		await expect(chart(page, 'Memory used')).toHaveAttribute('aria-label', /average over 30 s/);
		await expect(page.getByText('As the capsule sees itself')).toBeVisible();
		await page.getByRole('link', { name: '1 hour' }).click();
		await expect(page.getByText('Last 1 hour')).toBeVisible();
		await expect(page).toHaveURL(/range=1h/);
	});

	await test.step('its idle timeout is changed in place, and that is history', async () => {
		const change = page.getByRole('button', { name: 'Change the idle timeout' });
		await change.click();
		const field = page.getByLabel('Idle timeout in seconds');
		await expect(field).toBeFocused();
		await field.fill('soon');
		await field.press('Enter');
		await expect(page.getByText('Idle timeout must be a whole number.')).toBeVisible();
		await field.press('Escape');
		await expect(change).toBeFocused();
		await change.press('Enter');
		await field.fill('5400');
		await field.press('Enter');
		await expect(page.getByText('1h 30m', { exact: true })).toBeVisible();
		await expect(change).toBeFocused();
		const history = page.getByRole('region', { name: 'History' });
		await expect(history.getByRole('listitem').first()).toContainText('Idle timeout set');
		await expect(history).toContainText(`by ${account.name}`);
	});

	await test.step('commands run in a tab of their own', async () => {
		await page.getByRole('link', { name: 'Commands' }).click();
		expect(await run(page, 'echo $((6 * 7))')).toContain('42');
	});

	await page.getByRole('button', { name: 'Destroy' }).click();
	await page.getByRole('alertdialog').getByRole('button', { name: 'Destroy' }).click();
	await expect(page).toHaveURL(/\/list$/, { timeout: MEASURED_WITHIN_MS });
});

/** Statistics that are made up, and where they are shown. */
interface Subject {
	name: string;
	/** The requests for them. */
	asked: string;
	title: string;
	answer: (range: string, value: number) => object;
	/** Opens what has them; returns the path of its page. */
	enter: (page: Page) => Promise<string>;
	/** The part of the label of its chart that says the value. */
	label: (value: number) => RegExp;
}

const SUBJECTS: readonly Subject[] = [
	{
		name: 'the team',
		asked: STATS,
		title: 'Running capsules',
		answer: madeUpStats,
		enter: async (page) => {
			await signIn(page, admin());
			return '/dashboard/capsules/stats';
		},
		label: (value) => new RegExp(`Running: ${2 * value} now`)
	},
	{
		name: 'a capsule',
		asked: '**/v1/capsules/*/metrics?*',
		title: 'CPU',
		answer: madeUpMetrics,
		enter: async (page) => {
			await signUp(page, stranger());
			return `/dashboard/capsules/${await createCapsule(page)}`;
		},
		label: (value) => new RegExp(`CPU used: ${2 * value} % now`)
	}
];

for (const { name, asked: requests, title, answer, enter, label } of SUBJECTS) {
	test(`a chart of ${name} is drawn anew only when its data are different`, async ({ page }) => {
		let value = 1;
		let looks = 0;
		await page.route(requests, (route) => {
			looks += 1;
			return route.fulfill({ json: answer(rangeOf(route.request().url()), value) });
		});
		const path = await enter(page);
		await page.clock.install();
		await page.goto(`${path}?range=5m`);
		const drawn = chart(page, title);
		await expect(drawn).toHaveAttribute('data-redraws', '1');

		// News may have made it look more often.
		for (let time = 0; time < 3; time += 1) {
			const before = looks;
			await page.clock.fastForward(15_000);
			await expect.poll(() => looks).toBeGreaterThan(before);
		}
		await expect(page.getByText('Loading…')).toHaveCount(0);
		await expect(drawn).toHaveAttribute('data-redraws', '1');

		value = 3;
		await page.clock.fastForward(15_000);
		await expect(drawn).toHaveAttribute('data-redraws', '2');
		await expect(drawn).toHaveAttribute('aria-label', label(3));
		await leave(page, path);
	});

	test(`a late answer about ${name} never stands for another range`, async ({ page }) => {
		let release = () => undefined as void;
		const late = new Promise<void>((resolve) => (release = resolve));
		const asked: string[] = [];
		await page.route(requests, async (route) => {
			const range = rangeOf(route.request().url());
			asked.push(range);
			if (range === '6h') await late;
			const value = { '5m': 5, '1h': 1, '6h': 6 }[range] ?? 0;
			// The request may have been given up meanwhile.
			await route.fulfill({ json: answer(range, value) }).catch(() => undefined);
		});
		const path = await enter(page);
		await page.goto(`${path}?range=1h`);
		await expect(page.getByText('Last 1 hour')).toBeVisible();
		await page.getByRole('link', { name: '6 hours' }).click();
		await expect.poll(() => asked).toContain('6h');
		// The page says what it shows until the answer is there.
		await expect(page.getByText('Last 1 hour')).toBeVisible();
		await page.getByRole('link', { name: '5 minutes' }).click();
		await expect(page.getByText('Last 5 minutes')).toBeVisible();
		release();
		await page.getByRole('link', { name: '24 hours' }).click();
		await expect(page.getByText('Last 24 hours')).toBeVisible();
		await page.getByRole('link', { name: '5 minutes' }).click();
		await expect(page.getByText('Last 5 minutes')).toBeVisible();
		await expect(chart(page, title)).toHaveAttribute('aria-label', label(5));
		await leave(page, path);
	});
}

test('nothing is asked for while nobody sees the page', async ({ page }) => {
	let looks = 0;
	await page.route(STATS, (route) => {
		looks += 1;
		return route.fulfill({ json: madeUpStats(rangeOf(route.request().url())) });
	});
	await signIn(page, admin());
	await page.clock.install();
	await page.goto('/dashboard/capsules/stats?range=5m');
	await expect(page.getByText('Last 5 minutes')).toBeVisible();
	await setVisibility(page, 'hidden');
	const before = looks;
	await page.clock.fastForward(120_000);
	await page.clock.fastForward(120_000);
	expect(looks).toBe(before);
	await setVisibility(page, 'visible');
	await expect.poll(() => looks).toBe(before + 1);
});

test('statistics that cannot be had are said to be missing, and come back', async ({ page }) => {
	const error = { code: 'internal_error', message: 'something broke' };
	await page.route(STATS, (route) => route.fulfill({ status: 500, json: { error } }));
	await signIn(page, admin());
	await page.goto('/dashboard/capsules/stats');
	await expect(page.getByRole('alert')).toContainText('something broke');
	await page.unrouteAll();
	await page.getByRole('button', { name: 'Try again' }).click();
	await expect(page.getByRole('alert')).toHaveCount(0);
	await expect(chart(page, 'Running capsules')).toBeVisible();
});
