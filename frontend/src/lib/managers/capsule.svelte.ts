/** One capsule, kept up to date while its page is open. */
import { api } from '../api/client';
import { toApiError, unwrap, type ApiError } from '../api/errors';
import type { Capsule } from '../api/types';
import { isSettling } from '../capsule/status';
import { events } from '../events';
import { pollIntervalMs } from '../polling/interval';
import { Poller } from '../polling/poller';
import { isSame } from '../reconcile';
import { capsules } from './capsules.svelte';

export class CapsuleView {
	readonly id: string;
	#capsule: Capsule | null;
	#error: ApiError | null;
	#failures = 0;
	readonly #poller: Poller<Capsule>;

	constructor(id: string) {
		this.id = id;
		// Coming from the list, there is something to show at once.
		this.#capsule = $state.raw(capsules.items.find((capsule) => capsule.id === id) ?? null);
		this.#error = $state.raw(null);
		this.#poller = new Poller<Capsule>({
			task: (signal) => unwrap(api.GET('/v1/capsules/{id}', { params: { path: { id } }, signal })),
			onResult: (capsule) => {
				if (!isSame(this.#capsule, capsule)) this.#capsule = capsule;
				this.#error = null;
				this.#failures = 0;
			},
			onError: (error) => {
				this.#error = toApiError(error);
				this.#failures += 1;
			},
			intervalMs: () => pollIntervalMs(this.#isSettling(), this.#failures)
		});
	}

	get capsule(): Capsule | null {
		return this.#capsule;
	}

	get error(): ApiError | null {
		return this.#error;
	}

	/** Keeps it up to date until the returned function is called. */
	watch(): () => void {
		const isOurs = ({ id }: { id: string }) => id === this.id;
		const undo = [
			this.#poller.acquire(),
			events.on('capsule:asked', (asked) => {
				if (isOurs(asked)) this.#poller.refresh();
			}),
			events.on('capsule:answered', (answered) => {
				if (!isOurs(answered)) return;
				if (answered.capsule) this.#capsule = answered.capsule;
				this.#poller.refresh();
			}),
			events.on('capsule:changed', (changed) => {
				if (!isOurs(changed)) return;
				this.#capsule = changed;
				this.#poller.refresh();
			})
		];
		return () => undo.forEach((release) => release());
	}

	#isSettling(): boolean {
		if (capsules.asked(this.id)) return true;
		return this.#capsule !== null && isSettling(this.#capsule);
	}
}
