/**
 * Tells the changes in a folder, and in the folders below it once those are looked at.
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
	/** The entries at these paths are different now. */
	onChange: (paths: readonly string[]) => void;
	/** Changes were lost: everything may be different. */
	onOverflow: () => void;
	/** Changes are not told for now. */
	onLost: () => void;
}

type Open = (isDeep: boolean, signal: AbortSignal) => Promise<ReadableStream<Uint8Array>>;

export class FolderWatch {
	readonly #open: Open;
	readonly #events: WatchEvents;
	/** The watches that are open: at most one of each depth. */
	readonly #watching = new Map<boolean, AbortController>();
	/** The depth of the one that tells everything; null while none does. */
	#isDeep: boolean | null = null;
	#isReady = false;
	#isDeepWanted = false;
	#isClosed = false;
	/** All watches were given up, since there was nothing to watch. */
	#isOver = false;
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

	/** Begins anew where there was nothing to watch. */
	revive(): void {
		if (!this.#isOver || this.#isClosed) return;
		this.#isOver = false;
		this.#covered = this.#follow(this.#isDeepWanted);
	}

	/** Settles once it is known, as well as it can be, whether a list that begins now will miss nothing. */
	covered(): Promise<void> {
		return this.#covered;
	}

	close(): void {
		this.#isClosed = true;
		for (const watching of this.#watching.values()) watching.abort();
	}

	#follow(isDeep: boolean): Promise<void> {
		const watching = new AbortController();
		this.#watching.set(isDeep, watching);
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
							this.#takeOver(isDeep);
							settled();
							this.#events.onReady(isGapless);
						} else this.#tell(data);
					},
					onLost: (error) => {
						if (isDeep === this.#isDeep) {
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
			void done.then(() => {
				settled();
				if (this.#watching.get(isDeep) === watching) this.#watching.delete(isDeep);
				this.#isOver = this.#watching.size === 0;
			});
		});
	}

	#takeOver(isDeep: boolean): void {
		this.#isDeep = isDeep;
		this.#isReady = true;
		// A deep one tells all that the other does.
		if (isDeep) this.#watching.get(false)?.abort();
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
