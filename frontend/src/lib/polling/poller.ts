/**
 * Repeats a request for as long as somebody looks at its answer.
 *
 *   acquire ──► holders > 0 ─┐
 *                            ├─ and ─► active: run, deliver, wait `intervalMs()`, run …
 *   tab visible ─────────────┘
 *
 * It is active while it has at least one holder and the tab is visible. Becoming active runs the
 * task at once; becoming inactive aborts the run in flight and cancels the next. Each run has a
 * number, and only the newest may deliver: an answer that was overtaken by a `refresh`, or that
 * arrives after the last release, is dropped even if its task ignored the abort signal.
 */

/** The part of `document` that tells whether anybody can see the page. */
export type VisibilitySource = Pick<
	Document,
	'visibilityState' | 'addEventListener' | 'removeEventListener'
>;

export interface PollerOptions<T> {
	task: (signal: AbortSignal) => Promise<T>;
	onResult: (value: T) => void;
	/** Never called with the abort of an overtaken run. */
	onError: (error: unknown) => void;
	/** Asked after each run, so it can depend on what was just delivered. */
	intervalMs: () => number;
	/** The document unless a test says otherwise. */
	visibility?: VisibilitySource;
}

/** News often come several at a time, and one look tells them all. */
const SOON_MS = 200;

export class Poller<T> {
	readonly #options: PollerOptions<T>;
	readonly #onVisibilityChange = () => this.#update();
	#holders = 0;
	#active = false;
	#isRunning = false;
	#isOutdated = false;
	#newestRun = 0;
	#abort: AbortController | undefined;
	#timer: ReturnType<typeof setTimeout> | undefined;

	constructor(options: PollerOptions<T>) {
		this.#options = options;
	}

	/** Adds a holder and returns the function that releases it; releasing twice does nothing. */
	acquire(): () => void {
		this.#holders += 1;
		if (this.#holders === 1) {
			this.#visibility.addEventListener('visibilitychange', this.#onVisibilityChange);
		}
		this.#update();

		let released = false;
		return () => {
			if (released) return;
			released = true;
			this.#holders -= 1;
			if (this.#holders === 0) {
				this.#visibility.removeEventListener('visibilitychange', this.#onVisibilityChange);
			}
			this.#update();
		};
	}

	/** Asks again now: what is in flight was asked too early. Does nothing while inactive. */
	refresh(): void {
		if (this.#active) void this.#run();
	}

	/**
	 * Asks again in a moment, once for many such calls; a run in flight is waited for, so that calls in quick succession
	 * cannot keep every run from its end. Does nothing while inactive.
	 */
	refreshSoon(): void {
		if (!this.#active || this.#isOutdated) return;
		this.#isOutdated = true;
		if (!this.#isRunning) this.#runIn(SOON_MS);
	}

	get #visibility(): VisibilitySource {
		return this.#options.visibility ?? document;
	}

	#update(): void {
		const active = this.#holders > 0 && this.#visibility.visibilityState === 'visible';
		if (active === this.#active) return;
		this.#active = active;
		if (active) void this.#run();
		else this.#cancel();
	}

	#runIn(ms: number): void {
		clearTimeout(this.#timer);
		this.#timer = setTimeout(() => void this.#run(), ms);
	}

	#cancel(): void {
		this.#newestRun += 1;
		this.#isRunning = false;
		this.#isOutdated = false;
		this.#abort?.abort();
		this.#abort = undefined;
		clearTimeout(this.#timer);
	}

	async #run(): Promise<void> {
		this.#cancel();
		const run = this.#newestRun;
		const abort = new AbortController();
		this.#abort = abort;
		this.#isRunning = true;

		let deliver: () => void;
		try {
			const value = await this.#options.task(abort.signal);
			deliver = () => this.#options.onResult(value);
		} catch (error) {
			deliver = () => this.#options.onError(error);
		}
		if (run !== this.#newestRun) return;
		this.#isRunning = false;

		deliver();
		// The delivery may have led to a release or a refresh.
		if (run !== this.#newestRun) return;
		this.#runIn(this.#isOutdated ? SOON_MS : this.#options.intervalMs());
	}
}
