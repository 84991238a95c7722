import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Build } from '../api/types';
import { events } from '../events';
import { builds } from './builds.svelte';
import { listBuilds } from './service';
import { build } from './testing';

vi.mock('./service', () => ({ listBuilds: vi.fn() }));
const list = vi.mocked(listBuilds);

const whole = (change: Partial<Build> = {}): Build => ({ ...build(change), logs: [], ...change });
const many = (length: number) =>
	Array.from({ length }, (_, at) => whole({ id: `build-${at}`, status: 'success' }));

beforeEach(() => {
	vi.useFakeTimers();
	const listeners = { addEventListener: () => undefined, removeEventListener: () => undefined };
	vi.stubGlobal('document', { visibilityState: 'visible', ...listeners });
	list.mockReset();
});
afterEach(() => {
	events.emit('session:changed', undefined);
	vi.unstubAllGlobals();
	vi.useRealTimers();
});

const settle = () => vi.advanceTimersByTimeAsync(0);

it.each(['team', 'platform'] as const)(
	'asks for the builds of a %s every three seconds while one goes on, and not otherwise',
	async (scope) => {
		for (const status of ['pending', 'running'] as const) {
			list.mockClear();
			list.mockResolvedValue([whole({ status })]);
			const release = builds[scope].watch();
			await vi.advanceTimersByTimeAsync(6_000);
			expect(list).toHaveBeenCalledTimes(3);
			expect(builds[scope].openCount).toBe(1);
			release();
		}
		list.mockClear();
		list.mockResolvedValue(
			(['success', 'failed', 'cancelled'] as const).map((status) => whole({ id: status, status }))
		);
		const release = builds[scope].watch();
		await settle();
		expect(builds[scope].openCount).toBe(0);
		await vi.advanceTimersByTimeAsync(29_999);
		expect(list).toHaveBeenCalledTimes(1);
		// A last resort for news that were lost, and for what other administrators begin.
		await vi.advanceTimersByTimeAsync(1);
		expect(list).toHaveBeenCalledTimes(2);
		release();
	}
);

it('shows older ones when somebody wants them, and forgets that with the session', async () => {
	list.mockResolvedValue(many(50));
	const release = builds.team.watch();
	await settle();
	expect(list).toHaveBeenLastCalledWith('team', 50, expect.anything());
	expect(builds.team.hasOlder).toBe(true);

	list.mockResolvedValue(many(60));
	builds.team.showOlder();
	expect(builds.team.isLoadingOlder).toBe(true);
	await settle();
	expect(list).toHaveBeenLastCalledWith('team', 100, expect.anything());
	expect(builds.team.items).toHaveLength(60);
	expect(builds.team.isLoadingOlder).toBe(false);
	expect(builds.team.hasOlder).toBe(false);

	list.mockResolvedValue([]);
	events.emit('session:changed', undefined);
	expect(builds.team.isLoaded).toBe(false);
	await settle();
	expect(list).toHaveBeenLastCalledWith('team', 50, expect.anything());
	release();
});

it('takes new builds in where they belong', async () => {
	list.mockResolvedValue([]);
	const releases = [builds.team.watch(), builds.platform.watch()];
	await settle();
	list.mockReturnValue(new Promise(() => undefined));
	// This test has no session, so no build is of the user's team.
	events.emit('build:created', whole());
	expect(builds.platform.items.map(({ id }) => id)).toEqual(['build-1']);
	expect(builds.team.items).toEqual([]);
	events.emit('build:changed', whole({ status: 'cancelled' }));
	expect(builds.platform.openCount).toBe(0);
	releases.forEach((release) => release());
});
