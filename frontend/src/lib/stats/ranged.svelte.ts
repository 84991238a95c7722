/**
 * Statistics over a range of time that somebody chooses, kept up to date while they are watched.
 *
 * An answer is for one range. Choosing another gives up the question on its way, so that a late answer never
 * stands for it. What was shown stays until the answer is there, and says by its own `range` what it is.
 */
import { toApiError, type ApiError } from '../api/errors';
import { events } from '../events';
import type { ServerNews } from '../live/protocol';
import { Poller } from '../polling/poller';
import { isSame } from '../polling/reconcile';
import { nextLookMs } from './ranges';

export interface RangedOptions<R extends string> {
	range: R;
	intervalsMs: Record<R, number>;
	/** Returns true if news may change the answer at once. */
	concerns: (news: ServerNews) => boolean;
}

export abstract class Ranged<R extends string, T extends { range: R }> {
	#range: R;
	#value = $state.raw<T | null>(null);
	#error = $state.raw<ApiError | null>(null);
	#isPending = $state(false);
	#failures = 0;
	readonly #options: RangedOptions<R>;

	readonly #poller = new Poller<T>({
		task: (signal) => this.ask(this.#range, signal),
		onResult: (answer) => {
			if (this.#value === null || !isSame(this.#value, answer)) this.#value = answer;
			this.#error = null;
			this.#failures = 0;
			this.#isPending = false;
		},
		onError: (error) => {
			this.#error = toApiError(error);
			this.#failures += 1;
			this.#isPending = false;
			// The range that was left is no stand-in for one that cannot be had.
			if (this.#value?.range !== this.#range) this.#value = null;
		},
		intervalMs: () => nextLookMs(this.#options.intervalsMs[this.#range], this.#failures)
	});

	constructor(options: RangedOptions<R>) {
		this.#options = options;
		this.#range = options.range;
	}

	/** The last answer; null until the first. */
	get value(): T | null {
		return this.#value;
	}

	/** Why the last look failed, null if it did not. */
	get error(): ApiError | null {
		return this.#error;
	}

	/** True if another range was chosen and its answer is not there yet. */
	get isPending(): boolean {
		return this.#isPending;
	}

	/** Shows another range as soon as its answer is there. */
	choose(range: R): void {
		if (range === this.#range) return;
		this.#range = range;
		this.#failures = 0;
		this.#error = null;
		this.#isPending = this.#value !== null;
		this.#poller.refresh();
	}

	/** Keeps it up to date until the returned function is called. */
	watch(): () => void {
		const undo = [
			this.#poller.acquire(),
			events.on('session:changed', () => this.forget()),
			events.on('server:reset', () => this.#poller.refreshSoon()),
			events.on('server:news', (news) => {
				if (this.#options.concerns(news)) this.#poller.refreshSoon();
			})
		];
		return () => undo.forEach((release) => release());
	}

	/** Asks again now, if anybody watches. */
	refresh(): void {
		this.#poller.refresh();
	}

	protected abstract ask(range: R, signal: AbortSignal): Promise<T>;

	/** Knows nothing any more; an answer on its way was meant for the previous user. */
	protected forget(): void {
		this.#value = null;
		this.#error = null;
		this.#failures = 0;
		this.#isPending = false;
		this.#poller.refresh();
	}
}
