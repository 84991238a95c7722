/** The team's API keys. They change only by hand, so they are loaded, not polled. */
import { api } from '../api/client';
import { isAbort, toApiError, unwrap, type ApiError } from '../api/errors';
import type { ApiKey } from '../api/types';
import { events } from '../events';

class KeyList {
	#items = $state.raw<readonly ApiKey[]>([]);
	#isLoaded = $state(false);
	#error = $state.raw<ApiError | null>(null);
	#loading: AbortController | undefined;

	constructor() {
		events.on('session:changed', () => {
			this.#loading?.abort();
			this.#items = [];
			this.#isLoaded = false;
			this.#error = null;
		});
		events.on('key:created', (key) => (this.#items = [key, ...this.#items]));
		events.on('key:deleted', ({ id }) => {
			this.#items = this.#items.filter((key) => key.id !== id);
		});
	}

	get items(): readonly ApiKey[] {
		return this.#items;
	}

	get isLoaded(): boolean {
		return this.#isLoaded;
	}

	get error(): ApiError | null {
		return this.#error;
	}

	/** Loads the list; a load still on its way is given up. */
	async load(): Promise<void> {
		this.#loading?.abort();
		const loading = new AbortController();
		this.#loading = loading;
		try {
			const keys = await unwrap(api.GET('/v1/api-keys', { signal: loading.signal }));
			if (loading.signal.aborted) return;
			this.#items = keys.sort((a, b) => b.created_at.localeCompare(a.created_at));
			this.#isLoaded = true;
			this.#error = null;
		} catch (error) {
			if (isAbort(error) || loading.signal.aborted) return;
			this.#error = toApiError(error);
		}
	}
}

export const keys = new KeyList();
