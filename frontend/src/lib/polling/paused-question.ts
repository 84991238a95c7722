/**
 * A question about what somebody types, asked when the typing pauses.
 *
 *   look ──► a pause ──► asked ──► answered
 *     └── look again, or close: an earlier question is given up, and its answer dropped
 */
import { isAbort } from '../api/errors';

export class PausedQuestion<Answer> {
	readonly #pauseMs: number;
	#asked: AbortController | undefined;
	#timer: ReturnType<typeof setTimeout> | undefined;

	constructor(pauseMs: number) {
		this.#pauseMs = pauseMs;
	}

	/** Asks after the pause, in place of an earlier question; `onFailed` never hears of one that was given up. */
	look(
		question: (signal: AbortSignal) => Promise<Answer>,
		onAnswer: (answer: Answer) => void,
		onFailed: (error: unknown) => void
	): void {
		this.close();
		const asked = new AbortController();
		this.#asked = asked;
		this.#timer = setTimeout(() => {
			question(asked.signal).then(
				(answer) => {
					if (!asked.signal.aborted) onAnswer(answer);
				},
				(error: unknown) => {
					if (!isAbort(error) && !asked.signal.aborted) onFailed(error);
				}
			);
		}, this.#pauseMs);
	}

	/** Gives up the question that waits, or is on its way. */
	close(): void {
		clearTimeout(this.#timer);
		this.#asked?.abort();
	}
}
