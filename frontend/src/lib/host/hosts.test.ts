import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { events } from '../events';
import { hosts } from './hosts.svelte';
import { kindAt, tabOf } from './scope';

type Options = { params?: { path: { id: string } } };
const get = vi.hoisted(() => vi.fn<(path: string, options?: Options) => Promise<object>>());
vi.mock('../api/client', () => ({ api: { GET: get } }));

const host = (id: string, created_at: string) => ({ id, created_at, team_id: null });
const LISTED = [host('host-1', '2026-01-01'), host('host-2', '2026-01-02')];
let gone: string[];
let tagsAsked: string[];

/** Answers as the server does; only what the list reads. */
function answer(path: string, options?: Options): object {
	if (path === '/v1/hosts') return { data: LISTED, response: { ok: true, status: 200 } };
	const id = options?.params?.path.id ?? '';
	tagsAsked.push(id);
	if (!gone.includes(id)) return { data: [`tag of ${id}`], response: { ok: true, status: 200 } };
	const error = { error: { code: 'not_found', message: 'gone' } };
	return { error, response: { ok: false, status: 404 } };
}

beforeEach(() => {
	vi.useFakeTimers();
	const listeners = { addEventListener: () => undefined, removeEventListener: () => undefined };
	vi.stubGlobal('document', { visibilityState: 'visible', ...listeners });
	gone = [];
	tagsAsked = [];
	get.mockReset().mockImplementation((...of) => Promise.resolve(answer(...of)));
});
afterEach(() => {
	events.emit('session:changed', undefined);
	vi.unstubAllGlobals();
	vi.useRealTimers();
});

it('asks for all hosts every few seconds, and for their tags seldom', async () => {
	const release = hosts.platform.watch();
	await vi.advanceTimersByTimeAsync(0);
	expect(hosts.platform.items.map(({ id, tags }) => [id, ...tags])).toEqual([
		['host-2', 'tag of host-2'],
		['host-1', 'tag of host-1']
	]);
	await vi.advanceTimersByTimeAsync(59_000);
	expect(get.mock.calls.filter(([path]) => path === '/v1/hosts').length).toBeGreaterThan(10);
	expect(tagsAsked).toHaveLength(2);
	await vi.advanceTimersByTimeAsync(5_000);
	expect(tagsAsked).toHaveLength(4);
	release();
});

it('asks for the tags of a host that was changed at once, and for no others', async () => {
	const release = hosts.platform.watch();
	await vi.advanceTimersByTimeAsync(0);
	tagsAsked = [];
	events.emit('host:changed', { id: 'host-1' });
	await vi.advanceTimersByTimeAsync(0);
	expect(tagsAsked).toEqual(['host-1']);
	release();
});

it('leaves out a host that was deleted while its tags were asked for', async () => {
	gone = ['host-2'];
	const release = hosts.platform.watch();
	await vi.advanceTimersByTimeAsync(0);
	expect(hosts.platform.items.map(({ id }) => id)).toEqual(['host-1']);
	expect(hosts.platform.error).toBeNull();
	release();
});

it('shows the hosts of its team alone to a team', async () => {
	const release = hosts.team.watch();
	await vi.advanceTimersByTimeAsync(0);
	expect(hosts.team.isLoaded).toBe(true);
	expect(hosts.team.items).toEqual([]);
	release();
});

it('has the tab in the address', () => {
	expect(tabOf('/admin/hosts', 'regular')).toBe('/admin/hosts');
	for (const kind of ['regular', 'byoc'] as const) {
		expect(kindAt(new URL(tabOf('/admin/hosts', kind), 'http://localhost'))).toBe(kind);
	}
	expect(kindAt(new URL('http://localhost/admin/hosts?kind=other'))).toBe('regular');
});
