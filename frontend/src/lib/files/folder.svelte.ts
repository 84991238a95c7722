/**
 * One folder of a capsule, kept up to date while it is looked at.
 *
 *   list ──► shown;  watch: `ready` and every `change` ──► list again, at most every so often
 *
 * Everything here is a use of the capsule, and would wake one that wakes on use, so whoever opens a folder
 * does so only while the capsule runs. Nothing is watched in a tab that nobody sees.
 */
import { ApiError, isAbort, toApiError } from '../api/errors';
import { whileVisible } from '../polling/visible';
import { reconcile } from '../polling/reconcile';
import { listFolder, watchFolder } from './service';
import { followEvents, type EventFeed } from '../streams/event-feed';
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
		return whileVisible(() => {
			const watching = new AbortController();
			void this.refresh();
			void this.#watch(watching.signal);
			return () => {
				watching.abort();
				this.#listing?.abort();
				clearTimeout(this.#timer);
				this.#timer = undefined;
				this.#isLive = false;
			};
		});
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

	#watch(signal: AbortSignal): Promise<void> {
		const feed: EventFeed = {
			open: (_, signal) => watchFolder(this.#capsuleId, this.#path, this.#user, signal),
			onEvent: ({ name }) => {
				if (name === 'error') throw new ApiError('agent_error', 'Nothing is told any more.', 0);
				this.#isLive = true;
				this.#refreshSoon();
			},
			onLost: (error) => {
				this.#isLive = false;
				// The list says what is wrong with the folder itself.
				return error.status === 404 ? 'give up' : 'again';
			}
		};
		return followEvents(feed, signal);
	}

	#refreshSoon(): void {
		this.#timer ??= setTimeout(() => void this.refresh(), SETTLE_MS);
	}
}
