/**
 * One folder of a capsule, kept up to date while it is looked at.
 *
 *   list ──► shown;  watch: `ready` and every `change` ──► list again, at most every so often
 *
 * Everything here is a use of the capsule, and would wake one that wakes on use, so whoever opens a folder
 * does so only while the capsule runs. Nothing is watched in a tab that nobody sees.
 */
import { isAbort, toApiError, type ApiError } from '../api/errors';
import { reconcile } from '../reconcile';
import { listFolder, watchFolder } from '../services/files';
import { backoffMs } from '../streams/backoff';
import { readEvents } from '../streams/sse';
import type { Entry } from './entries';

/** Many changes at once are looked at once. */
const SETTLE_MS = 250;

export class Folder {
	readonly #capsuleId: string;
	#path = $state('');
	#entries = $state.raw<readonly Entry[]>([]);
	#isTruncated = $state(false);
	#isLoaded = $state(false);
	#isLive = $state(false);
	#error = $state.raw<ApiError | null>(null);
	#opening: AbortController | undefined;
	#listing: AbortController | undefined;
	#timer: ReturnType<typeof setTimeout> | undefined;
	#user = '';

	constructor(capsuleId: string) {
		this.#capsuleId = capsuleId;
	}

	get path(): string {
		return this.#path;
	}

	get entries(): readonly Entry[] {
		return this.#entries;
	}

	/** There is more than the server lists. */
	get isTruncated(): boolean {
		return this.#isTruncated;
	}

	/** False until the first answer for this folder. */
	get isLoaded(): boolean {
		return this.#isLoaded;
	}

	/** Whether changes are told as they happen. */
	get isLive(): boolean {
		return this.#isLive;
	}

	get error(): ApiError | null {
		return this.#error;
	}

	/** Shows a folder, as a user sees it, until the returned function is called. */
	open(path: string, user: string): () => void {
		if (path !== this.#path || user !== this.#user) {
			this.#entries = [];
			this.#isLoaded = false;
			this.#error = null;
		}
		this.#path = path;
		this.#user = user;
		const update = () => this.#update();
		document.addEventListener('visibilitychange', update);
		update();
		return () => {
			document.removeEventListener('visibilitychange', update);
			this.#stop();
		};
	}

	/** Looks again now. */
	async refresh(): Promise<void> {
		clearTimeout(this.#timer);
		this.#timer = undefined;
		this.#listing?.abort();
		const listing = new AbortController();
		this.#listing = listing;
		try {
			const path = this.#path;
			const list = await listFolder(this.#capsuleId, path, this.#user, listing.signal);
			if (listing.signal.aborted) return;
			const entries = list.entries.map((entry) => ({ ...entry, id: entry.path }));
			this.#entries = reconcile(this.#entries, entries);
			this.#isTruncated = list.truncated === true;
			this.#isLoaded = true;
			this.#error = null;
		} catch (error) {
			if (isAbort(error) || listing.signal.aborted) return;
			this.#error = toApiError(error);
		}
	}

	#update(): void {
		const isSeen = document.visibilityState === 'visible';
		if (!isSeen) this.#stop();
		else if (!this.#opening) {
			this.#opening = new AbortController();
			void this.refresh();
			void this.#watch(this.#opening.signal);
		}
	}

	#stop(): void {
		this.#opening?.abort();
		this.#opening = undefined;
		this.#listing?.abort();
		clearTimeout(this.#timer);
		this.#timer = undefined;
		this.#isLive = false;
	}

	async #watch(signal: AbortSignal): Promise<void> {
		for (let failures = 1; !signal.aborted; failures++) {
			try {
				const body = await watchFolder(this.#capsuleId, this.#path, this.#user, signal);
				for await (const { name } of readEvents(body)) {
					if (signal.aborted) return;
					if (name === 'error') break;
					failures = 0;
					this.#isLive = true;
					this.#refreshSoon();
				}
			} catch (error) {
				if (signal.aborted) return;
				// The list says what is wrong with the folder itself.
				if (toApiError(error).status === 404) return;
			}
			if (signal.aborted) return;
			this.#isLive = false;
			await pause(backoffMs(failures + 1), signal);
		}
	}

	#refreshSoon(): void {
		this.#timer ??= setTimeout(() => void this.refresh(), SETTLE_MS);
	}
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
	return new Promise((resolve) => {
		const timer = setTimeout(resolve, ms);
		signal.addEventListener('abort', () => {
			clearTimeout(timer);
			resolve();
		});
	});
}
