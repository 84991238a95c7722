/** Which rows of a list are ticked. */
import { SvelteSet } from 'svelte/reactivity';
import { rangeBetween } from './selection';

export class Selection {
	readonly #ids = new SvelteSet<string>();
	/** Start of a range: the row that was ticked last. */
	#anchor: string | null = null;

	has(id: string): boolean {
		return this.#ids.has(id);
	}

	/**
	 * Ticks a row, or takes its tick away.
	 *
	 * @param order the rows as they are shown, if those up to the one before shall become the same
	 */
	set(id: string, isChosen: boolean, order: readonly string[] | null): void {
		const ids = order === null ? [id] : rangeBetween(order, this.#anchor, id);
		for (const each of ids) {
			if (isChosen) this.#ids.add(each);
			else this.#ids.delete(each);
		}
		this.#anchor = id;
	}

	setAll(ids: readonly string[], isChosen: boolean): void {
		this.#anchor = null;
		for (const id of ids) {
			if (isChosen) this.#ids.add(id);
			else this.#ids.delete(id);
		}
	}

	clear(): void {
		this.#anchor = null;
		this.#ids.clear();
	}
}
