/**
 * The team's capsules as the server last told, newest first.
 *
 * Polls while somebody watches: often while a capsule is on its way somewhere, seldom while all is
 * settled, ever more seldom while the server does not answer. What was known stays on the page
 * then, with the error beside it.
 */
import { SvelteMap } from 'svelte/reactivity';
import { api } from '../api/client';
import { toApiError, unwrap, type ApiError } from '../api/errors';
import type { Capsule, CapsuleOperation } from '../api/types';
import { isSettling } from '../capsule/status';
import { events } from '../events';
import { Poller } from '../polling/poller';
import { pollIntervalMs } from '../polling/interval';
import { reconcile } from '../reconcile';

class CapsuleList {
	#items = $state.raw<readonly Capsule[]>([]);
	#isLoaded = $state(false);
	#error = $state.raw<ApiError | null>(null);
	#failures = 0;
	readonly #asked = new SvelteMap<string, CapsuleOperation>();

	readonly #poller = new Poller<Capsule[]>({
		task: (signal) => unwrap(api.GET('/v1/capsules', { signal })),
		onResult: (capsules) => {
			this.#items = reconcile(this.#items, newestFirst(capsules));
			this.#isLoaded = true;
			this.#error = null;
			this.#failures = 0;
		},
		onError: (error) => {
			this.#error = toApiError(error);
			this.#failures += 1;
		},
		intervalMs: () =>
			pollIntervalMs(this.#asked.size > 0 || this.#items.some(isSettling), this.#failures)
	});

	constructor() {
		events.on('session:changed', () => this.#forget());
		events.on('capsule:created', (capsule) => {
			const others = this.#items.filter(({ id }) => id !== capsule.id);
			this.#items = newestFirst([capsule, ...others]);
			this.#poller.refresh();
		});
		events.on('capsule:asked', ({ id, operation }) => {
			this.#asked.set(id, operation);
			this.#poller.refresh();
		});
		events.on('capsule:answered', ({ id, capsule }) => {
			this.#asked.delete(id);
			if (capsule) this.#items = this.#items.map((old) => (old.id === id ? capsule : old));
			this.#poller.refresh();
		});
		events.on('capsule:changed', (capsule) => {
			this.#items = this.#items.map((old) => (old.id === capsule.id ? capsule : old));
			this.#poller.refresh();
		});
		events.on('capsule:destroyed', ({ id }) => {
			this.#asked.delete(id);
			this.#items = this.#items.filter((capsule) => capsule.id !== id);
			this.#poller.refresh();
		});
	}

	get items(): readonly Capsule[] {
		return this.#items;
	}

	/** False until the first answer: an empty list means nothing before. */
	get isLoaded(): boolean {
		return this.#isLoaded;
	}

	/** Why the last look failed, null if it did not. */
	get error(): ApiError | null {
		return this.#error;
	}

	/** What we asked the server to do with it, while we wait for the answer. */
	asked(id: string): CapsuleOperation | null {
		return this.#asked.get(id) ?? null;
	}

	/** Keeps the list up to date until the returned function is called. */
	watch(): () => void {
		return this.#poller.acquire();
	}

	refresh(): void {
		this.#poller.refresh();
	}

	#forget(): void {
		this.#items = [];
		this.#isLoaded = false;
		this.#error = null;
		this.#failures = 0;
		this.#asked.clear();
		// An answer on its way was meant for the previous user.
		this.#poller.refresh();
	}
}

function newestFirst(capsules: readonly Capsule[]): Capsule[] {
	return [...capsules].sort(
		(a, b) => b.created_at.localeCompare(a.created_at) || a.id.localeCompare(b.id)
	);
}

export const capsules = new CapsuleList();
