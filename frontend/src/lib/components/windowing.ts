/** Which rows of a long list are drawn: those that can be seen and a few around them. All rows are equally high. */

export interface RowWindow {
	/** The first row that is drawn. */
	from: number;
	/** The first row after those. */
	to: number;
}

/** Rows that are drawn above and below what can be seen, so that scrolling shows no gaps. */
const EXTRA_ROWS = 12;

export function windowOf(
	count: number,
	rowPx: number,
	scrollTop: number,
	viewPx: number
): RowWindow {
	const first = Math.floor(scrollTop / rowPx) - EXTRA_ROWS;
	const last = Math.ceil((scrollTop + viewPx) / rowPx) + EXTRA_ROWS;
	// A list that got shorter is still scrolled to where it was for a moment.
	const to = Math.min(count, Math.max(0, last));
	return { from: Math.min(to, Math.max(0, first)), to };
}

/** Returns the scroll position at which a row can be seen; the present one, if it can be seen there. */
export function scrollTopFor(
	index: number,
	rowPx: number,
	scrollTop: number,
	viewPx: number
): number {
	const top = index * rowPx;
	if (top < scrollTop) return top;
	return Math.max(scrollTop, top + rowPx - viewPx);
}
