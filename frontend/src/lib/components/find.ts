/** A search in a list: by a text, by one of a few kinds, and in an order. */
import { sorted, type Order } from './table';

export interface Query<K extends string, S extends string> {
	text: string;
	/** Empty for all kinds. */
	kind: K | '';
	order: Order<S | 'created'>;
}

/** The rules by which the items of a list are found. All lists of this sort are known by their newest items first. */
export interface Finder<T, K extends string, S extends string> {
	kinds: Record<K, (item: T) => boolean>;
	/** The values in which the text is looked for. */
	textsOf: (item: T) => readonly (string | null)[];
	/** The order in which a column shows the items first. */
	orders: Record<S | 'created', (a: T, b: T) => number>;
}

/** The newest items of every kind. */
export function newest<K extends string, S extends string>(): Query<K, S> {
	return { text: '', kind: '', order: { key: 'created', isDescending: false } };
}

/** Returns true if a query asks for the newest items, of which the first few do; every other needs the whole list. */
export function isNewest<K extends string>({ text, kind, order }: Query<K, string>): boolean {
	return text.trim() === '' && kind === '' && order.key === 'created' && !order.isDescending;
}

/** Returns the items that a query finds, in its order. */
export function find<T, K extends string, S extends string>(
	items: readonly T[],
	{ text, kind, order }: Query<K, S>,
	{ kinds, textsOf, orders }: Finder<T, K, S>
): T[] {
	const wanted = text.trim().toLowerCase();
	const found = items.filter(
		(item) =>
			(kind === '' || kinds[kind](item)) &&
			textsOf(item).some((value) => value?.toLowerCase().includes(wanted))
	);
	return sorted(found, order, orders);
}
