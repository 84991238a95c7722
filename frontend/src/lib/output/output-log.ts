/**
 * The output of a program, in the order it came, bounded: the end is what one wants to see.
 *
 * It grows at the end and is cut at the front, in whole pieces, so that a page draws anew only the last one.
 */

export type Stream = 'stdout' | 'stderr' | 'note';

export interface Piece {
	id: number;
	stream: Stream;
	text: string;
}

export interface OutputLog {
	pieces: readonly Piece[];
	/** Characters in these pieces. */
	shownChars: number;
	/** Characters left out at the front. */
	hiddenChars: number;
}

export const EMPTY_LOG: OutputLog = { pieces: [], shownChars: 0, hiddenChars: 0 };

/** The number of characters that are shown unless the caller says otherwise. */
const SHOWN_CHARS = 200_000;
/** Pieces of one stream are put together up to this, so that the page has few elements. */
const PIECE_CHARS = 8_192;

export interface Print {
	stream: Stream;
	text: string;
}

/** @param atMost characters to show; more than a million or so make a page slow */
export function append(log: OutputLog, prints: readonly Print[], atMost = SHOWN_CHARS): OutputLog {
	const pieces = [...log.pieces];
	let { shownChars, hiddenChars } = log;
	for (const { stream, text } of prints) {
		if (text === '') continue;
		const last = pieces.at(-1);
		if (last?.stream === stream && last.text.length + text.length <= PIECE_CHARS) {
			pieces[pieces.length - 1] = { ...last, text: last.text + text };
		} else {
			pieces.push({ id: (last?.id ?? 0) + 1, stream, text });
		}
		shownChars += text.length;
	}
	let gone = 0;
	for (; shownChars > atMost; gone++) {
		const length = pieces[gone]?.text.length ?? shownChars;
		shownChars -= length;
		hiddenChars += length;
	}
	return { pieces: pieces.slice(gone), shownChars, hiddenChars };
}
