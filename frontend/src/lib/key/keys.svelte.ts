/** The team's API keys, newest first. They change only by hand, so they are loaded, not polled. */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { ApiKey } from '../api/types';
import { events } from '../events';
import { Loaded } from '../polling/loaded.svelte';
import { newestFirst } from '../polling/polled.svelte';

class KeyList extends Loaded<readonly ApiKey[]> {
	constructor() {
		super();
		// Before the list is loaded, a new key alone would pass for the whole list.
		events.on('key:created', (key) => {
			if (this.value) this.put([key, ...this.value]);
		});
		events.on('key:deleted', ({ id }) => {
			if (this.value) this.put(this.value.filter((key) => key.id !== id));
		});
	}

	get items(): readonly ApiKey[] {
		return this.value ?? NOTHING;
	}

	protected override async ask(signal: AbortSignal): Promise<readonly ApiKey[]> {
		return (await unwrap(api.GET('/v1/api-keys', { signal }))).sort(newestFirst);
	}
}

const NOTHING: readonly ApiKey[] = [];

export const keys = new KeyList();
