import { describe, expect, it } from 'vitest';
import type { CapsuleEvent } from '../api/types';
import { actorText, appendPage, eventTone, mergePages, stateText } from './history';

function event(id: string, change: Partial<CapsuleEvent> = {}): CapsuleEvent {
	return {
		id,
		event: 'paused',
		status: 'succeeded',
		reason: null,
		actor_type: 'user',
		actor_id: 'usr-1',
		actor_name: 'Cara',
		metadata: {},
		created_at: '2026-03-01T12:00:00Z',
		settled_at: '2026-03-01T12:00:01Z',
		...change
	};
}

describe('mergePages', () => {
	const ids = ({ items }: { items: readonly CapsuleEvent[] }) => items.map(({ id }) => id);
	const page = (next: string | null, ...names: string[]) => ({
		items: names.map((name) => event(name)),
		next
	});

	it('puts what is new before what is known, and keeps what is older', () => {
		const merged = mergePages(page('t4', 'd', 'c', 'b', 'a'), page('t2', 'e', 'd', 'c'));
		expect(ids(merged)).toEqual(['e', 'd', 'c', 'b', 'a']);
		expect(merged.next).toBe('t4');
	});

	it('takes an entry as it is now', () => {
		const fresh = { items: [event('b', { status: 'failed' })], next: 't' };
		expect(mergePages(page(null, 'b', 'a'), fresh).items[0]?.status).toBe('failed');
	});

	it('has no entry twice where pages overlap', () => {
		const merged = appendPage(page('t', 'c', 'b'), page(null, 'b', 'a'));
		expect(ids(merged)).toEqual(['c', 'b', 'a']);
		expect(merged.next).toBeNull();
	});

	it('begins anew where it would have a gap, and where nothing older is known', () => {
		expect(ids(mergePages(page(null, 'b', 'a'), page('t', 'z', 'y')))).toEqual(['z', 'y']);
		expect(mergePages(page('t1', 'b', 'a'), page('t2', 'c', 'b', 'a')).next).toBe('t2');
		expect(ids(mergePages(page(null, 'a'), page(null)))).toEqual([]);
	});
});

it('says by whom, and why the platform did it', () => {
	expect(actorText(event('a'))).toBe('by Cara');
	expect(actorText(event('a', { actor_type: 'api_key', actor_name: 'ci' }))).toBe(
		'by the API key ci'
	);
	expect(actorText(event('a', { actor_type: 'system', actor_name: 'idle' }))).toBe(
		'by the platform: idle'
	);
	expect(actorText(event('a', { actor_type: null, actor_name: null }))).toBe('');
});

it('says what became of a request only where it is not done', () => {
	expect(stateText(event('a'))).toBeNull();
	expect(stateText(event('a', { status: null }))).toBeNull();
	expect(stateText(event('a', { status: 'accepted' }))).toBe('in progress');
	expect(eventTone(event('a', { status: 'accepted' }))).toBe('moving');
	expect(eventTone(event('a', { status: 'refused' }))).toBe('broken');
	expect(eventTone(event('a', { event: 'snapshot' }))).toBe('gone');
});
