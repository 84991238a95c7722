/** Ranges of rows. */

/** A click on the tick of a row. */
export type TickEvent = MouseEvent & { currentTarget: HTMLInputElement };

/** The ids from one to another, both included, in whichever direction; the second alone if the first is not there. */
export function rangeBetween(
	order: readonly string[],
	from: string | null,
	to: string
): readonly string[] {
	const start = from === null ? -1 : order.indexOf(from);
	const end = order.indexOf(to);
	if (start < 0 || end < 0) return [to];
	return order.slice(Math.min(start, end), Math.max(start, end) + 1);
}
