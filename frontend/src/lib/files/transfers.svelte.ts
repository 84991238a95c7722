/**
 * Uploads and downloads, a few at a time, in the order in which they were asked for.
 *
 *   queued ──► running ──► done
 *      │          ├──────► failed   (can be tried again)
 *      └──────────┴──────► cancelled
 *
 * What is transferred, and how, is the business of the function that comes with each.
 */
import { isAbort, toApiError } from '../api/errors';

/** More at once would only share the same line. */
const AT_ONCE = 2;

export interface TransferTask {
	kind: 'upload' | 'download';
	/** The path in the capsule. */
	path: string;
	/** Null if nobody knows. */
	totalBytes: number | null;
	run: (signal: AbortSignal, onProgress: (doneBytes: number) => void) => Promise<void>;
}

export type TransferState =
	{ kind: 'queued' | 'running' | 'done' | 'cancelled' } | { kind: 'failed'; message: string };

export class Transfer {
	readonly id: number;
	readonly task: TransferTask;
	#state = $state.raw<TransferState>({ kind: 'queued' });
	doneBytes = $state(0);
	readonly abort = new AbortController();

	constructor(id: number, task: TransferTask) {
		this.id = id;
		this.task = task;
	}

	get state(): TransferState {
		return this.#state;
	}

	set state(state: TransferState) {
		this.#state = state;
	}

	get isOver(): boolean {
		return this.#state.kind !== 'queued' && this.#state.kind !== 'running';
	}
}

export class TransferQueue {
	#items = $state.raw<readonly Transfer[]>([]);
	#nextId = 1;
	#running = 0;
	/** Called when one has arrived. */
	readonly #onDone: (task: TransferTask) => void;

	constructor(onDone: (task: TransferTask) => void = () => undefined) {
		this.#onDone = onDone;
	}

	/** Oldest first. */
	get items(): readonly Transfer[] {
		return this.#items;
	}

	get isBusy(): boolean {
		return this.#items.some(({ isOver }) => !isOver);
	}

	add(...tasks: TransferTask[]): void {
		this.#items = [...this.#items, ...tasks.map((task) => new Transfer(this.#nextId++, task))];
		this.#startNext();
	}

	cancel(transfer: Transfer): void {
		if (transfer.isOver) return;
		transfer.state = { kind: 'cancelled' };
		transfer.abort.abort();
	}

	/** Asks for one that failed or was cancelled once more, at the end of the queue. */
	retry(transfer: Transfer): void {
		if (!transfer.isOver) return;
		this.#items = this.#items.filter((one) => one !== transfer);
		this.add(transfer.task);
	}

	/** Takes what is over off the list. */
	clear(): void {
		this.#items = this.#items.filter(({ isOver }) => !isOver);
	}

	/** Gives up all that is under way. */
	close(): void {
		for (const transfer of this.#items) this.cancel(transfer);
	}

	#startNext(): void {
		while (this.#running < AT_ONCE) {
			const transfer = this.#items.find(({ state }) => state.kind === 'queued');
			if (!transfer) return;
			void this.#run(transfer);
		}
	}

	async #run(transfer: Transfer): Promise<void> {
		this.#running += 1;
		transfer.state = { kind: 'running' };
		const { task, abort } = transfer;
		try {
			await task.run(abort.signal, (doneBytes) => (transfer.doneBytes = doneBytes));
			if (!transfer.isOver) {
				transfer.state = { kind: 'done' };
				this.#onDone(task);
			}
		} catch (error) {
			if (transfer.isOver) return;
			transfer.state = isAbort(error)
				? { kind: 'cancelled' }
				: { kind: 'failed', message: toApiError(error).message };
		} finally {
			this.#running -= 1;
			this.#startNext();
		}
	}
}
