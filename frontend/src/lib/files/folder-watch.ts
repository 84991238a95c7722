/**
 * What changes in a folder, and, once they are looked at, in the folders below it.
 *
 *   the folder ──(one below is unfolded)──► all below it; the first watch ends when this one is ready
 *                                             └── refused, as where there are too many ──► the folder alone, as before
 *
 * One connection, since a browser allows a page few of them.
 */
import { ApiError } from '../api/errors';
import { followEvents } from '../streams/event-feed';

/** A watch that is not ready by then is not waited for. */
const READY_WITHIN_MS = 2_000;

export interface WatchEvents {
	/**
	 * From now on every change is told.
	 *
	 * @param isGapless whether that was so before, for the folder itself
	 */
	onReady: (isGapless: boolean) => void;
	/** What is at these paths is different now. */
	onChange: (paths: readonly string[]) => void;
	/** Changes were lost: everything may be different. */
	onOverflow: () => void;
	/** Nothing is told for now. */
	onLost: () => void;
}

type Open = (isDeep: boolean, signal: AbortSignal) => Promise<ReadableStream<Uint8Array>>;

export class FolderWatch {
	readonly #open: Open;
	readonly #events: WatchEvents;
	#current: AbortController | undefined;
	#next: AbortController | undefined;
	#isReady = false;
	#isDeepWanted = false;
	#isClosed = false;
	/** Settled when the present watch is ready, or does not get ready. */
	#covered: Promise<void>;

	constructor(open: Open, events: WatchEvents) {
		this.#open = open;
		this.#events = events;
		this.#covered = this.#follow(false);
	}

	/** Looks below the folder, too. */
	deepen(): void {
		if (this.#isDeepWanted || this.#isClosed) return;
		this.#isDeepWanted = true;
		this.#covered = this.#follow(true);
	}

	/** Whether a list that begins now will miss nothing is known as well as it can be. */
	covered(): Promise<void> {
		return this.#covered;
	}

	close(): void {
		this.#isClosed = true;
		this.#current?.abort();
		this.#next?.abort();
	}

	#follow(isDeep: boolean): Promise<void> {
		const watching = new AbortController();
		this.#next = watching;
		return new Promise((settle) => {
			const timer = setTimeout(settle, READY_WITHIN_MS);
			const settled = () => {
				clearTimeout(timer);
				settle();
			};
			let wasReady = false;
			const done = followEvents(
				{
					open: (_, signal) => this.#open(isDeep, signal),
					onEvent: ({ name, data }) => {
						if (name === 'error') throw refusal(data);
						if (name === 'ready') {
							const isGapless = this.#isReady;
							wasReady = true;
							this.#takeOver(watching);
							settled();
							this.#events.onReady(isGapless);
						} else this.#tell(data);
					},
					onLost: (error) => {
						if (watching === this.#current) {
							this.#isReady = false;
							this.#events.onLost();
						}
						// The list says what is wrong with the folder itself.
						const isOver = error.status === 404 || (isDeep && !wasReady);
						return isOver ? 'give up' : 'again';
					}
				},
				watching.signal
			);
			void done.then(settled);
		});
	}

	#takeOver(watching: AbortController): void {
		if (this.#current !== watching) this.#current?.abort();
		this.#current = watching;
		this.#isReady = true;
	}

	#tell(data: string): void {
		const change = readChange(data);
		if (!change) return;
		if (change.type === 'overflow') this.#events.onOverflow();
		else this.#events.onChange(change.from ? [change.path, change.from] : [change.path]);
	}
}

interface Change {
	type: string;
	path: string;
	from?: string;
}

function readChange(data: string): Change | null {
	try {
		const value = JSON.parse(data) as Partial<Change> | null;
		return typeof value?.path === 'string' ? (value as Change) : null;
	} catch {
		return null;
	}
}

function refusal(data: string): ApiError {
	return new ApiError('agent_error', data, 0);
}
