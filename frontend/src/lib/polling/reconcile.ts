/**
 * Keeps what did not change.
 *
 * A poll brings a list of new objects even if nothing happened. Handing the old object on wherever
 * the new one says the same lets the page leave those rows alone.
 */

/** Returns `next` with every item, or the whole list, replaced by its equal from `previous`. */
export function reconcile<T extends { id: string }>(
	previous: readonly T[],
	next: readonly T[]
): readonly T[] {
	const known = new Map(previous.map((item) => [item.id, item]));
	const merged = next.map((item) => {
		const old = known.get(item.id);
		return old !== undefined && isSame(old, item) ? old : item;
	});
	const isUnchanged =
		merged.length === previous.length && merged.every((item, index) => item === previous[index]);
	return isUnchanged ? previous : merged;
}

/** Compares JSON values; the order of an object's fields does not matter. */
export function isSame(a: unknown, b: unknown): boolean {
	if (a === b) return true;
	if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
	if (Array.isArray(a) !== Array.isArray(b)) return false;
	const left = a as Record<string, unknown>;
	const right = b as Record<string, unknown>;
	const keys = Object.keys(left);
	return (
		keys.length === Object.keys(right).length &&
		keys.every((key) => Object.hasOwn(right, key) && isSame(left[key], right[key]))
	);
}
