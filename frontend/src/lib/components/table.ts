/** The columns of a table, as its head shows them, and the order of its rows. */
export interface Column {
	text: string;
	/** The classes that say where it is hidden and how it is aligned. */
	class?: string;
	/** For a column that the table can be sorted by. */
	sort?: {
		direction: 'ascending' | 'descending' | null;
		onSort: () => void;
		/** True if the values of the column end on the right. */
		isRight?: boolean;
	};
}

export interface Order<K extends string> {
	key: K;
	isDescending: boolean;
}

/** The order after a click on a column: by that one, or the other way round. */
export function reordered<K extends string>(order: Order<K>, key: K): Order<K> {
	return { key, isDescending: key === order.key && !order.isDescending };
}

/** The direction in which a column is sorted; null if the table is sorted by another. */
export function directionOf<K extends string>(
	order: Order<K>,
	key: K
): 'ascending' | 'descending' | null {
	if (key !== order.key) return null;
	return order.isDescending ? 'descending' : 'ascending';
}

/** Makes columns by which a table is sorted, for its present order. */
export function sortableColumns<K extends string>(
	texts: Record<K, string>,
	order: Order<K>,
	onOrder: (order: Order<K>) => void
): (key: K, extra: string, isRight?: boolean) => Column {
	return (key, extra, isRight = false) => ({
		text: texts[key],
		class: extra,
		sort: {
			direction: directionOf(order, key),
			onSort: () => onOrder(reordered(order, key)),
			isRight
		}
	});
}

/** Returns the items in an order. Equal ones stay as they come. */
export function sorted<T, K extends string>(
	items: readonly T[],
	{ key, isDescending }: Order<K>,
	orders: Record<K, (a: T, b: T) => number>
): T[] {
	const sign = isDescending ? -1 : 1;
	return [...items].sort((a, b) => sign * orders[key](a, b));
}
