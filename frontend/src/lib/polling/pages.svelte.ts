/**
 * A long list of the server, newest first: the newest items, as many as somebody wants to see.
 *
 * Each look reads them page by page, by the token that the server gives with a page.
 */
import type { Page } from '../api/errors';
import { newestFirst, PolledList } from './polled.svelte';

export interface PageQuery {
	limit: number;
	/** Token of the page; the first one without it. */
	after?: string;
}

/** The number of items that are wanted first, and more with each step. */
export const STEP = 50;
/** The most that the API lists at once. */
const MOST_AT_ONCE = 1_000;
const SHORT_MS = 15_000;
const LONG_MS = 60_000;

export abstract class PolledPages<
	T extends { id: string; created_at: string }
> extends PolledList<T> {
	#wanted = $state(STEP);
	/** The number that was wanted when the known items were asked for. */
	#asked = $state(STEP);
	#hasMore = $state(false);

	/** True if there are older items than those that are known. */
	get hasMore(): boolean {
		return this.#hasMore;
	}

	/** True if older items were asked for and are not here yet. */
	get isLoadingMore(): boolean {
		return this.#hasMore && this.#asked < this.#wanted;
	}

	/** Says how many of the newest items are wanted; `Infinity` for all of them. */
	want(count: number): void {
		if (count === this.#wanted) return;
		this.#wanted = count;
		if (this.isLoadingMore) this.refresh();
	}

	protected abstract page(query: PageQuery, signal: AbortSignal): Promise<Page<T>>;

	protected override async list(signal: AbortSignal): Promise<T[]> {
		const wanted = this.#wanted;
		const items: T[] = [];
		let next: string | null = null;
		do {
			const limit = Math.min(wanted - items.length, MOST_AT_ONCE);
			const page: Page<T> = await this.page(
				next === null ? { limit } : { limit, after: next },
				signal
			);
			signal.throwIfAborted();
			items.push(...page.items);
			({ next } = page);
		} while (next !== null && items.length < wanted);
		this.#asked = wanted;
		this.#hasMore = next !== null;
		return items;
	}

	protected override compare(a: T, b: T): number {
		return newestFirst(a, b) || b.id.localeCompare(a.id);
	}

	/** No news tell of changes here, so it is looked at every now and then, seldom where that is much. */
	protected override intervalMs(failures: number): number {
		if (failures > 0) return super.intervalMs(failures);
		return this.items.length > MOST_AT_ONCE ? LONG_MS : SHORT_MS;
	}

	protected override forget(): void {
		this.#wanted = STEP;
		this.#asked = STEP;
		this.#hasMore = false;
		super.forget();
	}
}
