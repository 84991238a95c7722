/**
 * The latest answer to a question that is asked again and again, and how the asking goes.
 *
 * Asked while somebody watches: often while something is on its way, seldom while all is settled,
 * ever more seldom while the server does not answer. What was known stays then, with the error
 * beside it. Where the server tells what changes, it is asked then, and otherwise hardly ever.
 */
import { toApiError, type ApiError } from '../api/errors';
import { events } from '../events';
import { live } from '../live/live.svelte';
import type { ServerNews } from '../live/protocol';
import { isSame, reconcile } from './reconcile';
import { pollIntervalMs } from './interval';
import { Poller } from './poller';

export abstract class Polled<T> {
	#value = $state.raw<T | null>(null);
	#error = $state.raw<ApiError | null>(null);
	#failures = 0;

	readonly #poller = new Poller<T>({
		task: (signal) => this.ask(signal),
		onResult: (answer) => {
			this.#value = this.#value === null ? answer : this.merge(this.#value, answer);
			this.#error = null;
			this.#failures = 0;
		},
		onError: (error) => {
			this.#error = toApiError(error);
			this.#failures += 1;
		},
		intervalMs: () => this.intervalMs(this.#failures)
	});
	readonly #concerns: ((news: ServerNews) => boolean) | undefined;

	/** @param concerns whether news may change the answer; without it, no news ever does */
	constructor(concerns?: (news: ServerNews) => boolean) {
		this.#concerns = concerns;
	}

	get #isTold(): boolean {
		return this.#concerns !== undefined && live.isLive;
	}

	/** Null until the first answer. */
	get value(): T | null {
		return this.#value;
	}

	/** False until the first answer. */
	get isLoaded(): boolean {
		return this.#value !== null;
	}

	/** Why the last look failed, null if it did not. */
	get error(): ApiError | null {
		return this.#error;
	}

	/** Keeps it up to date until the returned function is called. */
	watch(): () => void {
		const undo = [
			this.#poller.acquire(),
			events.on('server:reset', () => this.#poller.refreshSoon()),
			events.on('server:news', (news) => {
				if (this.#concerns?.(news)) this.#poller.refreshSoon();
			})
		];
		return () => undo.forEach((release) => release());
	}

	/** Asks again now, if anybody watches. */
	refresh(): void {
		this.#poller.refresh();
	}

	protected abstract ask(signal: AbortSignal): Promise<T>;

	/** Returns true if something will change soon. */
	protected isSettling(): boolean {
		return false;
	}

	/**
	 * The time to wait before the next look.
	 *
	 * @param failures how many looks in a row have failed
	 */
	protected intervalMs(failures: number): number {
		return pollIntervalMs(this.isSettling(), failures, this.#isTold);
	}

	/** The value to keep after an answer; the previous object if nothing changed. */
	protected merge(previous: T, next: T): T {
		return isSame(previous, next) ? previous : next;
	}

	/** Takes what is known from elsewhere; an answer on its way is older, so it is asked again. */
	protected put(value: T): void {
		this.#value = value;
		this.#poller.refresh();
	}

	/** Knows nothing any more; an answer on its way was meant for the previous user. */
	protected forget(): void {
		this.#value = null;
		this.#error = null;
		this.#failures = 0;
		this.#poller.refresh();
	}
}

/** A list of things with ids, in an order that does not depend on the server. */
export abstract class PolledList<T extends { id: string }> extends Polled<readonly T[]> {
	get items(): readonly T[] {
		return this.value ?? NOTHING;
	}

	/** The items that the server lists, in any order. */
	protected abstract list(signal: AbortSignal): Promise<T[]>;

	protected abstract compare(a: T, b: T): number;

	protected override async ask(signal: AbortSignal): Promise<readonly T[]> {
		return (await this.list(signal)).sort((a, b) => this.compare(a, b));
	}

	protected override merge(previous: readonly T[], next: readonly T[]): readonly T[] {
		return reconcile(previous, next);
	}

	/** A single item would pass for the whole list while nothing is known yet. */
	protected add(item: T): void {
		if (this.value === null) this.refresh();
		else {
			const items = [item, ...this.value.filter(({ id }) => id !== item.id)];
			this.put(items.sort((a, b) => this.compare(a, b)));
		}
	}

	/** Replaces the one with that id, if there is one. */
	protected replace(item: T): void {
		if (this.value === null) this.refresh();
		else this.put(this.value.map((old) => (old.id === item.id ? item : old)));
	}

	protected remove(id: string): void {
		if (this.value === null) this.refresh();
		else this.put(this.value.filter((item) => item.id !== id));
	}
}

const NOTHING: readonly never[] = [];

/** Returns a test for news of one of these types, see docs/events.md. */
export function newsOf(...types: readonly string[]): (news: ServerNews) => boolean {
	return ({ type }) => types.includes(type);
}

/** Orders by the time of creation, the newest first. */
export function newestFirst<T extends { created_at: string }>(a: T, b: T): number {
	return b.created_at.localeCompare(a.created_at);
}
