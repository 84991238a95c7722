/** Accounts whose address begins with what is typed, asked for when the typing pauses. */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { UserSearchResult } from '../api/types';
import { PausedQuestion } from '../polling/paused-question';

/** Shorter beginnings are refused by the server. */
export const MIN_BEGINNING = 3;
const PAUSE_MS = 200;

export type SearchState = 'idle' | 'searching' | 'done' | 'failed';

export class UserSearch {
	#found = $state.raw<readonly UserSearchResult[]>([]);
	#state = $state<SearchState>('idle');
	readonly #question = new PausedQuestion<readonly UserSearchResult[]>(PAUSE_MS);

	get found(): readonly UserSearchResult[] {
		return this.#found;
	}

	get state(): SearchState {
		return this.#state;
	}

	/** Looks for what is typed now; answers to what was typed before are of no use. */
	look(text: string): void {
		this.stop();
		const email = text.trim();
		if (email.length < MIN_BEGINNING) return;
		this.#state = 'searching';
		this.#question.look(
			(signal) => unwrap(api.GET('/v1/users/search', { params: { query: { email } }, signal })),
			(found) => {
				this.#found = found;
				this.#state = 'done';
			},
			() => (this.#state = 'failed')
		);
	}

	/** Forgets what was found and gives up what is on its way. */
	stop(): void {
		this.#question.close();
		this.#found = [];
		this.#state = 'idle';
	}
}
