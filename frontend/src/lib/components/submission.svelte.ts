/** A form on its way to the server: once at a time, with what went wrong the last time. */
import { toApiError, type ApiError } from '../api/errors';

export class Submission {
	#isBusy = $state(false);
	#error = $state.raw<ApiError | null>(null);

	get isBusy(): boolean {
		return this.#isBusy;
	}

	get error(): ApiError | null {
		return this.#error;
	}

	/** Forgets what went wrong: something has changed since. */
	clear(): void {
		this.#error = null;
	}

	/** Does it, unless it is being done already. Returns whether it was done now. */
	async run(act: () => Promise<void>): Promise<boolean> {
		if (this.#isBusy) return false;
		this.#isBusy = true;
		this.#error = null;
		try {
			await act();
			return true;
		} catch (thrown) {
			this.#error = toApiError(thrown);
			return false;
		} finally {
			this.#isBusy = false;
		}
	}
}
