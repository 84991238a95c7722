/**
 * An answer that is asked for when somebody wants it, and not again by itself: for what changes by hand, or is long.
 *
 * The former answer stays until there is a new one, with the error of a failed question beside it. Only the latest question counts.
 */
import { isAbort, toApiError, type ApiError } from '../api/errors';
import { events } from '../events';

export abstract class Loaded<T> {
	#value = $state.raw<T | null>(null);
	#error = $state.raw<ApiError | null>(null);
	#isLoading = $state(false);
	#question: AbortController | undefined;

	constructor() {
		events.on('session:changed', () => this.forget());
	}

	/** Null until the first answer. */
	get value(): T | null {
		return this.#value;
	}

	/** False until the first answer. */
	get isLoaded(): boolean {
		return this.#value !== null;
	}

	get isLoading(): boolean {
		return this.#isLoading;
	}

	/** Why the last question failed, null if it did not. */
	get error(): ApiError | null {
		return this.#error;
	}

	/** Asks; a question on its way is given up. */
	load(): Promise<void> {
		return this.run((signal) => this.ask(signal));
	}

	protected abstract ask(signal: AbortSignal): Promise<T>;

	/** Takes the answer to a question in place of what was known; a question on its way is given up. */
	protected async run(question: (signal: AbortSignal) => Promise<T>): Promise<void> {
		this.#question?.abort();
		const asked = new AbortController();
		this.#question = asked;
		this.#isLoading = true;
		try {
			const answer = await question(asked.signal);
			if (asked.signal.aborted) return;
			this.#value = answer;
			this.#error = null;
		} catch (error) {
			if (isAbort(error) || asked.signal.aborted) return;
			this.#error = toApiError(error);
		}
		this.#isLoading = false;
	}

	/** Takes what is known from elsewhere. */
	protected put(value: T): void {
		this.#value = value;
	}

	/** Knows nothing any more; an answer on its way was meant for somebody else. */
	protected forget(): void {
		this.#question?.abort();
		this.#value = null;
		this.#error = null;
		this.#isLoading = false;
	}
}
