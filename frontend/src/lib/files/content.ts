/** The beginning of a file, as text that can be shown, or that it is none. Reads no more than what is needed for that. */

/** Larger files are not shown. */
export const SHOWN_BYTES = 10 * 1024 * 1024;
/** Larger texts are shown, but not edited. */
export const EDITED_BYTES = 1024 * 1024;
export const SHOWN_LINES = 5_000;
/** Longer lines are cut, since browsers draw very long ones slowly. */
export const LINE_CHARS = 5_000;
/** Lines that are laid out together, when they come into sight. */
const BLOCK_LINES = 100;

const NEWLINE = 10;

export type FileText =
	/** `isCut`: there is more in the file. A text that is not cut is exactly what is in the file. */
	{ kind: 'text'; text: string; isCut: boolean } | { kind: 'binary' };

/**
 * @param isWhole whether all of the text is wanted, as it is for small files, which can be edited; of others only the lines
 *   that are shown are read
 */
export async function readText(
	body: ReadableStream<Uint8Array>,
	isWhole: boolean
): Promise<FileText> {
	const reader = body.getReader();
	const chunks: Uint8Array[] = [];
	let length = 0;
	let lines = 0;
	let isCut = false;
	try {
		for (;;) {
			const { done, value } = await reader.read();
			if (done) break;
			if (value.includes(0)) return { kind: 'binary' };
			let taken = value;
			if (!isWhole) {
				const { at, count } = endOfLines(value, SHOWN_LINES - lines);
				lines += count;
				taken = value.subarray(0, at);
			}
			taken = taken.subarray(0, SHOWN_BYTES - length);
			chunks.push(taken);
			length += taken.length;
			isCut = taken.length < value.length;
			if (isCut) break;
		}
	} finally {
		await reader.cancel().catch(() => undefined);
	}
	return decode(chunks, length, isCut);
}

/** Returns where the last of so many lines ends, and how many end before that. */
function endOfLines(bytes: Uint8Array, atMost: number): { at: number; count: number } {
	let count = 0;
	let at = 0;
	while (count < atMost) {
		const end = bytes.indexOf(NEWLINE, at);
		if (end < 0) return { at: bytes.length, count };
		at = end + 1;
		count += 1;
	}
	return { at, count };
}

function decode(chunks: readonly Uint8Array[], length: number, isCut: boolean): FileText {
	const bytes = new Uint8Array(length);
	let at = 0;
	for (const chunk of chunks) {
		bytes.set(chunk, at);
		at += chunk.length;
	}
	try {
		// A mark at the beginning is part of the text, or saving it would lose the mark.
		const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
		// A letter that is cut in two at the end is no reason to call it binary.
		return { kind: 'text', text: decoder.decode(bytes, { stream: isCut }), isCut };
	} catch {
		return { kind: 'binary' };
	}
}

/** Some lines, with their numbers, one below the other. */
export interface Block {
	/** The number of the first line, counted from 1. */
	first: number;
	count: number;
	text: string;
	numbers: string;
}

export interface ShownText {
	blocks: readonly Block[];
	/** Lines that are shown. */
	lines: number;
	/** True if there are more lines in `text`. */
	hasMore: boolean;
	/** True if some lines are longer than what is shown of them. */
	hasCutLines: boolean;
}

/** The lines that are shown, in blocks that a browser can lay out one by one. */
export function shownText(text: string): ShownText {
	// Two more than are shown tell whether there are more: what follows a last newline is no line.
	const all = text.split('\n', SHOWN_LINES + 2);
	if (all.at(-1) === '' && all.length < SHOWN_LINES + 2) all.pop();
	const hasMore = all.length > SHOWN_LINES;
	const lines = all.slice(0, SHOWN_LINES);
	let hasCutLines = false;
	const blocks: Block[] = [];
	for (let from = 0; from < lines.length; from += BLOCK_LINES) {
		const some = lines.slice(from, from + BLOCK_LINES).map((line) => {
			if (line.length <= LINE_CHARS) return line.replace(/\r$/, '');
			hasCutLines = true;
			return `${line.slice(0, LINE_CHARS)}…`;
		});
		blocks.push({
			first: from + 1,
			count: some.length,
			text: some.join('\n'),
			numbers: some.map((_, index) => from + index + 1).join('\n')
		});
	}
	return { blocks, lines: lines.length, hasMore, hasCutLines };
}

const IMAGES: Record<string, string> = {
	png: 'image/png',
	jpg: 'image/jpeg',
	jpeg: 'image/jpeg',
	gif: 'image/gif',
	webp: 'image/webp',
	avif: 'image/avif',
	bmp: 'image/bmp',
	svg: 'image/svg+xml'
};

/** The type of the image that a file of this name holds; null if it is none that browsers show. */
export function imageType(name: string): string | null {
	const ending = name.toLowerCase().split('.').slice(1).pop();
	return IMAGES[ending ?? ''] ?? null;
}
