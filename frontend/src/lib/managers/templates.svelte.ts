/** The templates that the team can make capsules from, its own and the platform's, newest first. */
import { api } from '../api/client';
import { toApiError, unwrap, type ApiError } from '../api/errors';
import type { Template } from '../api/types';
import { events } from '../events';
import { Poller } from '../polling/poller';
import { pollIntervalMs } from '../polling/interval';
import { reconcile } from '../reconcile';

class TemplateList {
	#items = $state.raw<readonly Template[]>([]);
	#isLoaded = $state(false);
	#error = $state.raw<ApiError | null>(null);
	#failures = 0;

	readonly #poller = new Poller<Template[]>({
		task: (signal) => unwrap(api.GET('/v1/snapshots', { signal })),
		onResult: (templates) => {
			this.#items = reconcile(this.#items, newestFirst(templates));
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

	constructor() {
		events.on('session:changed', () => {
			this.#items = [];
			this.#isLoaded = false;
			this.#error = null;
			this.#failures = 0;
			this.#poller.refresh();
		});
		events.on('template:created', () => this.#poller.refresh());
		events.on('template:deleted', ({ id }) => {
			this.#items = this.#items.filter((template) => template.id !== id);
			this.#poller.refresh();
		});
	}

	get items(): readonly Template[] {
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

	/** Keeps the list up to date until the returned function is called. */
	watch(): () => void {
		return this.#poller.acquire();
	}
}

function newestFirst(templates: readonly Template[]): Template[] {
	return [...templates].sort(
		(a, b) => b.created_at.localeCompare(a.created_at) || a.name.localeCompare(b.name)
	);
}

export const templates = new TemplateList();
