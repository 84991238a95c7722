import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { AdminCapsule } from '../api/types';
import { events } from '../events';
import { allCapsules } from './all-capsules.svelte';
import { adminCapsule } from './testing';

const get = vi.hoisted(() => vi.fn());
vi.mock('../api/client', () => ({ api: { GET: get } }));

const answer = (data: AdminCapsule[], next?: string) =>
	get.mockResolvedValue({
		data,
		response: new Response(null, { headers: next ? { 'X-Next-Token': next } : {} })
	});

beforeEach(() => {
	vi.useFakeTimers();
	const listeners = { addEventListener: () => undefined, removeEventListener: () => undefined };
	vi.stubGlobal('document', { visibilityState: 'visible', ...listeners });
	get.mockReset();
});
afterEach(() => {
	events.emit('session:changed', undefined);
	vi.unstubAllGlobals();
	vi.useRealTimers();
});

const settle = () => vi.advanceTimersByTimeAsync(0);

it('looks more often while something is on its way, and seldom at a long list', async () => {
	answer([adminCapsule({ operation: 'pausing' })]);
	const release = allCapsules.watch();
	await settle();
	await vi.advanceTimersByTimeAsync(5_000);
	expect(get).toHaveBeenCalledTimes(2);
	answer([adminCapsule()]);
	await vi.advanceTimersByTimeAsync(5_000);
	expect(get).toHaveBeenCalledTimes(3);
	await vi.advanceTimersByTimeAsync(9_999);
	expect(get).toHaveBeenCalledTimes(3);
	answer(Array.from({ length: 1_001 }, (_, at) => adminCapsule({ id: `cl-${at}` })));
	await vi.advanceTimersByTimeAsync(1);
	expect(get).toHaveBeenCalledTimes(4);
	await vi.advanceTimersByTimeAsync(29_999);
	expect(get).toHaveBeenCalledTimes(4);
	release();
});

it('says that the server lists only a part, and forgets all with the session', async () => {
	answer([adminCapsule()], 'token-1');
	const release = allCapsules.watch();
	await settle();
	expect(allCapsules.isCut).toBe(true);
	expect(allCapsules.items).toHaveLength(1);
	get.mockReturnValue(new Promise(() => undefined));
	events.emit('session:changed', undefined);
	expect(allCapsules.isLoaded).toBe(false);
	release();
});

it('leaves out one that was destroyed here', async () => {
	answer([adminCapsule(), adminCapsule({ id: 'cl-2' })]);
	const release = allCapsules.watch();
	await settle();
	get.mockReturnValue(new Promise(() => undefined));
	events.emit('capsule:destroyed', { id: 'cl-1' });
	expect(allCapsules.items.map(({ id }) => id)).toEqual(['cl-2']);
	release();
});
