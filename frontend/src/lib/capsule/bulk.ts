/** An act on many capsules: which of them allow it, how many at a time, and what came of it. */
import type { Capsule, CapsuleOperation } from '../api/types';
import { texts } from '../texts';
import { obstacle } from './obstacles';

export type BulkAct = 'pause' | 'resume' | 'destroy';

export interface BulkPlan {
	act: BulkAct;
	ids: readonly string[];
	/** Why the others cannot take part, and how many of them for each reason. */
	leftOut: readonly { why: string; count: number }[];
}

/** @param asked what we wait for, by id */
export function planBulk(
	act: BulkAct,
	chosen: readonly Capsule[],
	asked: (id: string) => CapsuleOperation | null
): BulkPlan {
	const ids: string[] = [];
	const reasons = new Map<string, number>();
	for (const capsule of chosen) {
		const why = obstacle(capsule, asked(capsule.id), act);
		if (why === null) ids.push(capsule.id);
		else reasons.set(why, (reasons.get(why) ?? 0) + 1);
	}
	return { act, ids, leftOut: [...reasons].map(([why, count]) => ({ why, count })) };
}

/** Result for a capsule; the reason if it failed. */
export interface BulkOutcome {
	id: string;
	failure: string | null;
}

/** Does something with each, a few at a time, and tells of all of them, in their order. */
export async function forEachLimited<T, R>(
	items: readonly T[],
	limit: number,
	act: (item: T) => Promise<R>
): Promise<R[]> {
	const results = new Array<R>(items.length);
	let next = 0;
	const work = async () => {
		while (next < items.length) {
			const at = next++;
			results[at] = await act(items[at]!);
		}
	};
	await Promise.all(Array.from({ length: Math.min(limit, items.length) }, work));
	return results;
}

const NAMED_IDS = 3;

/** Returns the text of the one toast about all of them. */
export function bulkReport(act: BulkAct, outcomes: readonly BulkOutcome[]): string {
	const words = texts.capsule.bulk;
	const failures = new Map<string, string[]>();
	for (const { id, failure } of outcomes) {
		if (failure !== null) failures.set(failure, [...(failures.get(failure) ?? []), id]);
	}
	const done = words.done[act](outcomes.filter(({ failure }) => failure === null).length);
	if (failures.size === 0) return done;
	const parts = [...failures].map(([why, ids]) => words.failure(why, someOf(ids)));
	return words.failed(done, parts.join('; '));
}

function someOf(ids: readonly string[]): string {
	const named = ids.slice(0, NAMED_IDS).join(', ');
	const more = ids.length - NAMED_IDS;
	return more > 0 ? texts.capsule.bulk.andMore(named, more) : named;
}
