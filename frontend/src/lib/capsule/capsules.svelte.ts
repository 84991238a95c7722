/** The team's capsules as the server last told, newest first. */
import { SvelteMap } from 'svelte/reactivity';
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { Capsule, CapsuleOperation } from '../api/types';
import { isSettling } from './status';
import { events } from '../events';
import { newestFirst, newsOf, PolledList } from '../polling/polled.svelte';

class CapsuleList extends PolledList<Capsule> {
	readonly #asked = new SvelteMap<string, CapsuleOperation>();

	constructor() {
		super(newsOf('capsule.changed'));
		events.on('session:changed', () => {
			this.#asked.clear();
			this.forget();
		});
		events.on('capsule:created', (capsule) => this.add(capsule));
		events.on('capsule:asked', ({ id, operation }) => {
			this.#asked.set(id, operation);
			this.refresh();
		});
		events.on('capsule:answered', ({ id, capsule }) => {
			this.#asked.delete(id);
			if (capsule) this.replace(capsule);
			else this.refresh();
		});
		events.on('capsule:changed', (capsule) => this.replace(capsule));
		events.on('capsule:destroyed', ({ id }) => {
			this.#asked.delete(id);
			this.remove(id);
		});
	}

	/** Returns the operation that we asked the server for, while we wait for the answer. */
	asked(id: string): CapsuleOperation | null {
		return this.#asked.get(id) ?? null;
	}

	protected override list(signal: AbortSignal): Promise<Capsule[]> {
		return unwrap(api.GET('/v1/capsules', { signal }));
	}

	protected override compare(a: Capsule, b: Capsule): number {
		return newestFirst(a, b) || a.id.localeCompare(b.id);
	}

	protected override isSettling(): boolean {
		return this.#asked.size > 0 || this.items.some(isSettling);
	}
}

export const capsules = new CapsuleList();
