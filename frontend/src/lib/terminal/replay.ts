/**
 * The behaviour of a terminal while the output that was kept is shown once more.
 *
 * Programs ask terminals questions (where is the cursor, what are you), and those questions are part
 * of the output. When it is replayed the terminal would answer them a second time, and the answer
 * would arrive as something typed. So answers are held back until the replay is over, which the
 * server does not announce: it is when nothing came for a moment.
 */

const QUIET_FOR_MS = 400;

/** Answers that terminals give by themselves, behind the escape that begins them; nobody types them. */
const ANSWERS = [
	// Its kind, the place of the cursor, its state, the mode that is set, its size.
	/^\[[?>]?[\d;]*[cRn]$/,
	/^\[\?[\d;]*\$y$/,
	/^\[[\d;]*t$/,
	// Settings and colours.
	/^[P\]]./
];

export function isAnswer(data: string): boolean {
	if (!data.startsWith('\x1b')) return false;
	const rest = data.slice(1);
	return ANSWERS.some((answer) => answer.test(rest));
}

/** Tells whether a replay is under way. */
export class ReplayWatch {
	#isReplaying = false;
	#timer: ReturnType<typeof setTimeout> | undefined;

	get isReplaying(): boolean {
		return this.#isReplaying;
	}

	begin(): void {
		this.#isReplaying = true;
		this.quietFromNow();
	}

	/** Some output has been shown. */
	quietFromNow(): void {
		if (!this.#isReplaying) return;
		clearTimeout(this.#timer);
		this.#timer = setTimeout(() => this.end(), QUIET_FOR_MS);
	}

	end(): void {
		clearTimeout(this.#timer);
		this.#isReplaying = false;
	}
}
