/** Hands on together what comes between two drawings of the page: one change of the page for all of it. */

export class FrameBatch<T> {
	#items: T[] = [];
	#frame: number | undefined;
	readonly #onBatch: (items: readonly T[]) => void;

	constructor(onBatch: (items: readonly T[]) => void) {
		this.#onBatch = onBatch;
	}

	push(item: T): void {
		this.#items.push(item);
		this.#frame ??= requestAnimationFrame(() => {
			this.#frame = undefined;
			const items = this.#items;
			this.#items = [];
			this.#onBatch(items);
		});
	}

	/** Drops what was not handed on. */
	close(): void {
		if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
		this.#frame = undefined;
		this.#items = [];
	}
}
