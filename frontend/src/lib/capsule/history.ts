/** The history of a capsule, as its pages make it up and as people read it. */
import type { CapsuleEvent } from '../api/types';
import type { Tone } from '../components/tone';
import { texts } from '../texts';

/** The newest entries, up to a certain one. */
export interface HistoryPage {
	items: readonly CapsuleEvent[];
	/** Token of what follows; null if that is all. */
	next: string | null;
}

/**
 * A new first page before what is known: older entries stay, for they do not change. If so much is new that the
 * page does not reach what is known, there would be a gap, and the page stands alone.
 */
export function mergePages(known: HistoryPage, first: HistoryPage): HistoryPage {
	const last = first.items.at(-1);
	const at = last === undefined ? -1 : known.items.findIndex(({ id }) => id === last.id);
	if (at < 0 || at === known.items.length - 1) return first;
	return { items: [...first.items, ...known.items.slice(at + 1)], next: known.next };
}

/** Older entries behind what is known. */
export function appendPage(known: HistoryPage, older: HistoryPage): HistoryPage {
	const ids = new Set(known.items.map(({ id }) => id));
	const fresh = older.items.filter(({ id }) => !ids.has(id));
	return { items: [...known.items, ...fresh], next: older.next };
}

const words = texts.capsule;

/** By whom it was done; empty for what happened by itself. */
export function actorText({ actor_type, actor_name }: CapsuleEvent): string {
	const name = actor_name ?? '';
	switch (actor_type) {
		case 'user':
			return words.by(name);
		case 'api_key':
			return words.byKey(name);
		case 'system':
			return name === '' ? words.byPlatform : words.byPlatformFor(name);
		default:
			return '';
	}
}

/** Returns the state of a request; null if the entry says it anyway. */
export function stateText({ status }: CapsuleEvent): string | null {
	return status === null || status === 'succeeded' ? null : words.eventStates[status];
}

const TONES: Partial<Record<CapsuleEvent['event'], Tone>> = {
	created: 'live',
	resumed: 'live',
	found: 'live',
	paused: 'asleep',
	stopped: 'gone',
	destroyed: 'gone',
	missing: 'lost',
	failed: 'broken'
};

export function eventTone({ event, status }: CapsuleEvent): Tone {
	if (status === 'failed' || status === 'refused') return 'broken';
	if (status === 'accepted') return 'moving';
	return TONES[event] ?? 'gone';
}
