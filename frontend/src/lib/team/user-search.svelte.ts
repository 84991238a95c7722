/** Accounts whose address begins with what is typed, asked for when the typing pauses. */
import { api } from '../api/client';
import { isAbort, unwrap } from '../api/errors';
import type { UserSearchResult } from '../api/types';

/** Shorter beginnings are refused by the server. */
export const MIN_BEGINNING = 3;
const PAUSE_MS = 200;

export type SearchState = 'idle' | 'searching' | 'done' | 'failed';

export class UserSearch {
	#found = $state.raw<readonly UserSearchResult[]>([]);
	#state = $state<SearchState>('idle');
	#question: AbortController | undefined;
	#timer: ReturnType<typeof setTimeout> | undefined;

	get found(): readonly UserSearchResult[] {
		return this.#found;
	}

	get state(): SearchState {
		return this.#state;
	}

	/** Looks for what is typed now; answers to what was typed before are of no use. */
	look(text: string): void {
		this.stop();
		const beginning = text.trim();
		if (beginning.length < MIN_BEGINNING) return;
		this.#state = 'searching';
		this.#timer = setTimeout(() => void this.#ask(beginning), PAUSE_MS);
	}

	/** Forgets what was found and gives up what is on its way. */
	stop(): void {
		clearTimeout(this.#timer);
		this.#question?.abort();
		this.#found = [];
		this.#state = 'idle';
	}

	async #ask(email: string): Promise<void> {
		const asked = new AbortController();
		this.#question = asked;
		try {
			const params = { query: { email } };
			const { signal } = asked;
			const found = await unwrap(api.GET('/v1/users/search', { params, signal }));
			if (signal.aborted) return;
			this.#found = found;
			this.#state = 'done';
		} catch (error) {
			if (!isAbort(error) && !asked.signal.aborted) this.#state = 'failed';
		}
	}
}
