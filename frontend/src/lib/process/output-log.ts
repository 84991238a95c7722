/**
 * The output of a followed process, in the order it came, bounded: the end is what one wants to see.
 */

export type Stream = 'stdout' | 'stderr' | 'note';

export interface Piece {
	id: number;
	stream: Stream;
	text: string;
}

export interface OutputLog {
	pieces: readonly Piece[];
	/** Characters left out at the front. */
	hiddenChars: number;
}

export const EMPTY_LOG: OutputLog = { pieces: [], hiddenChars: 0 };

/** More would make the page slow. */
const SHOWN_CHARS = 200_000;
/** Pieces of one stream are put together up to this, so that the page has few elements. */
const PIECE_CHARS = 8_192;

export function append(log: OutputLog, stream: Stream, text: string): OutputLog {
	if (text === '') return log;
	const last = log.pieces.at(-1);
	let pieces: Piece[];
	if (last?.stream === stream && last.text.length + text.length <= PIECE_CHARS) {
		pieces = [...log.pieces.slice(0, -1), { ...last, text: last.text + text }];
	} else {
		pieces = [...log.pieces, { id: (last?.id ?? 0) + 1, stream, text }];
	}
	return shorten(pieces, log.hiddenChars);
}

function shorten(pieces: Piece[], hiddenChars: number): OutputLog {
	let excess = pieces.reduce((sum, { text }) => sum + text.length, 0) - SHOWN_CHARS;
	let first = 0;
	while (excess > 0) {
		const piece = pieces[first];
		if (!piece) break;
		const cut = Math.min(excess, piece.text.length);
		hiddenChars += cut;
		excess -= cut;
		if (cut === piece.text.length) first += 1;
		else pieces[first] = { ...piece, text: piece.text.slice(cut) };
	}
	return { pieces: pieces.slice(first), hiddenChars };
}
