import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { AuthResponse } from '../api/types';
import type { Session } from './session.svelte';

const HOUR_MS = 3_600_000;

function answer(token: string, over: Partial<AuthResponse> = {}): AuthResponse {
	const user = { user_id: 'usr-1', team_id: 'team-1', email: 'ada@example.org', name: 'Ada' };
	return { token, ...user, is_admin: false, ...over };
}

/** A token that is good for six hours. */
function timed(name: string): string {
	return `${name}.${btoa(JSON.stringify({ iat: 0, exp: (6 * HOUR_MS) / 1_000 }))}.`;
}

/** A browser whose other tabs the test plays. */
async function open(stored: Session | null = null) {
	vi.resetModules();
	const items = new Map<string, string>();
	if (stored) items.set('wrenn.session', JSON.stringify(stored));
	const window = new EventTarget();
	const document = new EventTarget();
	vi.stubGlobal('window', window);
	vi.stubGlobal('document', document);
	vi.stubGlobal('localStorage', {
		getItem: (key: string) => items.get(key) ?? null,
		setItem: (key: string, value: string) => void items.set(key, value),
		removeItem: (key: string) => void items.delete(key)
	});
	const { session } = await import('./session.svelte');
	const { events } = await import('../events');
	const heard: string[] = [];
	events.on('session:changed', () => heard.push('changed'));
	events.on('session:renewed', () => heard.push('renewed'));
	const write = (value: Session | null) => {
		if (value) items.set('wrenn.session', JSON.stringify(value));
		else items.delete('wrenn.session');
	};
	const otherTab = (value: Session | null) => {
		write(value);
		window.dispatchEvent(Object.assign(new Event('storage'), { key: 'wrenn.session' }));
	};
	const show = () => document.dispatchEvent(new Event('visibilitychange'));
	return { session, heard, write, otherTab, show, items };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
	vi.useRealTimers();
	vi.unstubAllGlobals();
});

it('is shared with the other tabs', async () => {
	const { session, heard, otherTab } = await open();
	otherTab(answer('a'));
	expect(session.current?.token).toBe('a');
	otherTab(null);
	expect(session.current).toBeNull();
	expect(session.isThrownOut).toBe(false);
	expect(heard).toEqual(['changed', 'changed']);
});

it('tells another name or token from another user, team or right', async () => {
	const { session, heard } = await open();
	session.begin(answer('a'));
	session.begin(answer('b', { name: 'Countess' }));
	session.begin(answer('c', { team_id: 'team-2' }));
	session.begin(answer('d', { team_id: 'team-2', is_admin: true }));
	session.begin(answer('e', { user_id: 'usr-2', team_id: 'team-2', is_admin: true }));
	expect(heard).toEqual(['changed', 'renewed', 'changed', 'changed', 'changed']);
});

it('ends when the time of its token is over, by itself', async () => {
	const { session, items } = await open();
	session.begin(answer(timed('a')));
	await vi.advanceTimersByTimeAsync(6 * HOUR_MS - 1);
	expect(session.current).not.toBeNull();
	await vi.advanceTimersByTimeAsync(1);
	expect(session.current).toBeNull();
	expect(session.isThrownOut).toBe(true);
	expect(session.notice).not.toBeNull();
	expect(items.size).toBe(0);
});

it('shows nothing to whoever comes back after its time', async () => {
	const { session, show } = await open();
	session.begin(answer(timed('a')));
	vi.setSystemTime(Date.now() + 7 * HOUR_MS);
	show();
	expect(session.current).toBeNull();

	const late = await open({ ...answer('a'), expires_at_ms: Date.now() - 1 });
	expect(late.session.current).toBeNull();
	expect(late.session.isThrownOut).toBe(true);
});

it('goes on with the token that another tab has meanwhile', async () => {
	const { session, write, heard } = await open();
	session.begin(answer('a'));
	write(answer('b'));
	session.expire();
	expect(session.current?.token).toBe('b');
	expect(heard).toEqual(['changed', 'renewed']);
});

it('takes the end in another tab for its own if its time is over as well', async () => {
	const { session, otherTab } = await open();
	session.begin(answer(timed('a')));
	vi.setSystemTime(Date.now() + 6 * HOUR_MS - 1_000);
	otherTab(null);
	expect(session.isThrownOut).toBe(true);
});

it('survives refusals while its token is replaced', async () => {
	const { session, heard } = await open();
	session.begin(answer('a'));
	const renewed = await session.renew(() => {
		session.expire();
		return Promise.resolve(answer('b'));
	});
	expect(renewed).toBe(true);
	expect(session.current?.token).toBe('b');
	expect(heard).toEqual(['changed', 'renewed']);
});

it('ends after refusals if its token was not replaced', async () => {
	const { session } = await open();
	session.begin(answer('a'));
	const failing = session.renew(() => {
		session.expire();
		return Promise.reject(new Error('no'));
	});
	await expect(failing).rejects.toThrow('no');
	expect(session.isThrownOut).toBe(true);
});

it('tells an account that was switched off from a token that is too old', async () => {
	const { session } = await open();
	session.begin(answer('a'));
	session.expire();
	const old = session.notice;
	session.begin(answer('b'));
	session.expire('disabled');
	expect(session.isThrownOut).toBe(true);
	expect(session.notice).not.toBe(old);
});

it('does not take the place of somebody who signed in meanwhile', async () => {
	const { session, otherTab } = await open();
	session.begin(answer('a'));
	const renewed = await session.renew(() => {
		otherTab(answer('z', { user_id: 'usr-2' }));
		return Promise.resolve(answer('b'));
	});
	expect(renewed).toBe(false);
	expect(session.current?.token).toBe('z');
});
