/** History of a capsule, newest first: the newest page, kept up to date, older ones on request. */
import { api } from '../api/client';
import { isAbort, toApiError, unwrapPage, type ApiError } from '../api/errors';
import type { CapsuleEvent } from '../api/types';
import { events } from '../events';
import { Polled } from '../polling/polled.svelte';
import { appendPage, mergePages, type HistoryPage } from './history';

const PAGE_SIZE = 20;

export class CapsuleHistory extends Polled<HistoryPage> {
	readonly #id: string;
	#isLoadingOlder = $state(false);
	#olderError = $state.raw<ApiError | null>(null);
	#older: AbortController | undefined;

	constructor(id: string) {
		super(({ resource_id }) => resource_id === id);
		this.#id = id;
	}

	get items(): readonly CapsuleEvent[] {
		return this.value?.items ?? [];
	}

	/** True if there are older entries than those that are shown. */
	get hasOlder(): boolean {
		return Boolean(this.value?.next);
	}

	get isLoadingOlder(): boolean {
		return this.#isLoadingOlder;
	}

	/** Why the older ones are not here. */
	get olderError(): ApiError | null {
		return this.#olderError;
	}

	override watch(): () => void {
		const undo = [
			super.watch(),
			events.on('session:changed', () => this.forget()),
			() => this.#older?.abort()
		];
		return () => undo.forEach((release) => release());
	}

	async loadOlder(): Promise<void> {
		const known = this.value;
		if (this.#isLoadingOlder || !known?.next) return;
		const older = new AbortController();
		this.#older = older;
		this.#isLoadingOlder = true;
		this.#olderError = null;
		try {
			const page = await this.#load(older.signal, known.next);
			const now = this.value;
			if (now && !older.signal.aborted) {
				this.put(appendPage(now, page));
			}
		} catch (error) {
			if (!isAbort(error)) this.#olderError = toApiError(error);
		} finally {
			this.#isLoadingOlder = false;
		}
	}

	protected override ask(signal: AbortSignal): Promise<HistoryPage> {
		return this.#load(signal);
	}

	protected override isSettling(): boolean {
		return this.items.some(({ status }) => status === 'accepted');
	}

	protected override merge(previous: HistoryPage, next: HistoryPage): HistoryPage {
		return super.merge(previous, mergePages(previous, next));
	}

	#load(signal: AbortSignal, after?: string): Promise<HistoryPage> {
		const query = { limit: PAGE_SIZE, ...(after === undefined ? {} : { after }) };
		const params = { path: { id: this.#id }, query };
		return unwrapPage(api.GET('/v1/capsules/{id}/events', { params, signal }));
	}
}
