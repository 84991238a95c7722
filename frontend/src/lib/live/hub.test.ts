import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ApiError } from '../api/errors';
import { Hub, type Tab } from './hub';
import type { ServerNews, ToTab } from './protocol';

const news: ServerNews = {
	type: 'capsule.changed',
	resource_type: 'capsule',
	resource_id: 'cl-1',
	at: '2026-01-01T00:00:00Z',
	facts: { status: 'running' }
};

interface Stream {
	token: string;
	lastId: string;
	signal: AbortSignal;
	say: (event: string, data?: unknown, id?: string) => Promise<void>;
	cut: () => Promise<void>;
}

/** A server whose streams the test writes, and tabs that remember what they were told. */
function setUp(refuse?: ApiError) {
	const streams: Stream[] = [];
	const hub = new Hub((token, lastId, signal) => {
		if (refuse) return Promise.reject(refuse);
		return new Promise((resolve) => {
			const body = new ReadableStream<Uint8Array>({
				start(controller) {
					const say = async (event: string, data: unknown = {}, id = '') => {
						const text = `${id && `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
						controller.enqueue(new TextEncoder().encode(text));
						await vi.advanceTimersByTimeAsync(0);
					};
					const cut = async () => {
						controller.close();
						await vi.advanceTimersByTimeAsync(0);
					};
					streams.push({ token, lastId, signal, say, cut });
				}
			});
			resolve(body);
		});
	});
	const tab = () => {
		const heard: ToTab[] = [];
		return { heard, send: (message: ToTab) => void heard.push(message) };
	};
	const stream = (index: number): Stream => {
		const found = streams[index];
		if (!found) throw new Error(`stream ${index} was not opened`);
		return found;
	};
	return { hub, streams, stream, tab };
}

const told = (tab: { heard: ToTab[] }) => tab.heard.map(({ kind }) => kind);
const NOBODY: Tab = { send: () => undefined };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('opens one stream for all tabs of a token, and tells each of them', async () => {
	const { hub, streams, stream, tab } = setUp();
	const [a, b] = [tab(), tab()];
	hub.join(a, 'token', true);
	hub.join(b, 'token', true);
	expect(streams).toHaveLength(1);
	await stream(0).say('ready');
	await stream(0).say('capsule.changed', news, '7');
	expect(a.heard).toEqual([
		{ kind: 'live', isLive: false },
		{ kind: 'live', isLive: true },
		{ kind: 'news', news }
	]);
	expect(b.heard).toEqual(a.heard);
	const late = tab();
	hub.join(late, 'token', true);
	expect(late.heard).toEqual([{ kind: 'live', isLive: true }]);
});

it('tells nobody what another token sees', async () => {
	const { hub, streams, stream, tab } = setUp();
	const [a, b] = [tab(), tab()];
	hub.join(a, 'one', true);
	hub.join(b, 'two', true);
	expect(streams.map(({ token }) => token)).toEqual(['one', 'two']);
	await stream(0).say('capsule.changed', news, '1');
	expect(told(b)).toEqual(['live']);
	// The same tab with another session.
	hub.join(a, 'two', true);
	expect(stream(0).signal.aborted).toBe(true);
	await stream(1).say('capsule.changed', news, '2');
	expect(told(a).filter((kind) => kind === 'news')).toHaveLength(2);
});

it('goes on after the last event when it was cut off', async () => {
	const { hub, streams, stream, tab } = setUp();
	const a = tab();
	hub.join(a, 'token', true);
	await stream(0).say('ready', {}, '5');
	await stream(0).say('capsule.changed', news, '6');
	await stream(0).cut();
	expect(a.heard.at(-1)).toEqual({ kind: 'live', isLive: false });
	await vi.advanceTimersByTimeAsync(20_000);
	expect(streams).toHaveLength(2);
	expect(stream(1).lastId).toBe('6');
	await stream(1).say('reset');
	expect(a.heard.at(-1)).toEqual({ kind: 'reset' });
});

it('asks for nothing while no tab can be seen', async () => {
	const { hub, streams, stream, tab } = setUp();
	const [a, b] = [tab(), tab()];
	hub.join(a, 'token', false);
	expect(streams).toHaveLength(0);
	hub.join(b, 'token', true);
	await stream(0).say('ready', {}, '9');
	// Only from one tab to the other.
	hub.seen(b, false);
	await vi.advanceTimersByTimeAsync(1_000);
	hub.seen(a, true);
	await vi.advanceTimersByTimeAsync(20_000);
	expect(stream(0).signal.aborted).toBe(false);
	hub.seen(a, false);
	await vi.advanceTimersByTimeAsync(20_000);
	expect(stream(0).signal.aborted).toBe(true);
	expect(a.heard.at(-1)).toEqual({ kind: 'live', isLive: false });
	hub.seen(a, true);
	expect(stream(1).lastId).toBe('9');
});

it('forgets a token with its last tab', async () => {
	const { hub, streams, stream, tab } = setUp();
	const a = tab();
	hub.join(a, 'token', true);
	await stream(0).say('ready', {}, '9');
	hub.leave(a);
	hub.leave(a);
	expect(stream(0).signal.aborted).toBe(true);
	await vi.advanceTimersByTimeAsync(20_000);
	hub.join(a, 'token', true);
	expect(streams).toHaveLength(2);
	expect(stream(1).lastId).toBe('');
	hub.seen(NOBODY, true);
});

it.each([
	['expired', new ApiError('unauthorized', 'no', 401)],
	['disabled', new ApiError('account_disabled', 'no', 403)]
])('gives up a token that the server does not accept: %s', async (refusal, error) => {
	const { hub, tab } = setUp(error);
	const a = tab();
	hub.join(a, 'old', true);
	await vi.advanceTimersByTimeAsync(600_000);
	expect(a.heard.filter(({ kind }) => kind === 'refused')).toEqual([
		{ kind: 'refused', token: 'old', refusal }
	]);
});
