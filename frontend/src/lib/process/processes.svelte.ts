/**
 * The processes of one capsule that were started through the API, oldest first.
 *
 * Asking for them is a use of the capsule, and would wake one that wakes on use. So whoever watches does
 * so only while it runs.
 */
import { toApiError, type ApiError } from '../api/errors';
import type { ProcessEntry } from '../api/types';
import { pollIntervalMs } from '../polling/interval';
import { Poller } from '../polling/poller';
import { reconcile } from '../reconcile';
import { listProcesses } from '../services/processes';

/** A process as the page knows it: pids are given again, so one alone does not name it for ever. */
export interface Process extends ProcessEntry {
	id: string;
}

export class ProcessList {
	#items = $state.raw<readonly Process[]>([]);
	#isLoaded = $state(false);
	#error = $state.raw<ApiError | null>(null);
	#failures = 0;
	readonly #poller: Poller<ProcessEntry[]>;

	constructor(capsuleId: string) {
		this.#poller = new Poller<ProcessEntry[]>({
			task: (signal) => listProcesses(capsuleId, signal),
			onResult: (entries) => {
				this.#items = reconcile(this.#items, oldestFirst(entries.map(identified)));
				this.#isLoaded = true;
				this.#error = null;
				this.#failures = 0;
			},
			onError: (error) => {
				this.#error = toApiError(error);
				this.#failures += 1;
			},
			intervalMs: () => pollIntervalMs(false, this.#failures)
		});
	}

	get items(): readonly Process[] {
		return this.#items;
	}

	/** False until the first answer. */
	get isLoaded(): boolean {
		return this.#isLoaded;
	}

	get error(): ApiError | null {
		return this.#error;
	}

	/** Keeps it up to date until the returned function is called. */
	watch(): () => void {
		return this.#poller.acquire();
	}

	refresh(): void {
		this.#poller.refresh();
	}
}

function identified(entry: ProcessEntry): Process {
	return { ...entry, id: `${entry.pid} ${entry.tag}` };
}

function oldestFirst(processes: Process[]): Process[] {
	return processes.sort((a, b) => a.started_at.localeCompare(b.started_at) || a.pid - b.pid);
}
