/**
 * Ends of lines, kept over an edit.
 *
 * A text field of a browser ends every line with `\n`. Lines that were not touched get the ends that they had in the original, and
 * the others get the ends that most of its lines have.
 */

const ENDS = /\r\n|\n|\r/g;

interface Line {
	text: string;
	end: string;
}

function split(text: string): Line[] {
	const lines: Line[] = [];
	let from = 0;
	for (const { 0: end, index } of text.matchAll(ENDS)) {
		lines.push({ text: text.slice(from, index), end });
		from = index + end.length;
	}
	lines.push({ text: text.slice(from), end: '' });
	return lines;
}

/** The text as a browser edits it. */
export function toEdited(original: string): string {
	return original.replace(ENDS, '\n');
}

/** The edited text with the ends of lines that the original has. */
export function fromEdited(original: string, edited: string): string {
	if (!original.includes('\r')) return edited;
	const before = split(original);
	const after = edited.split('\n');
	const usual = mostFrequentEnd(before);
	const most = Math.min(before.length, after.length);
	let head = 0;
	while (head < most && before[head]?.text === after[head]) head += 1;
	let tail = 0;
	while (tail < most - head && before.at(-1 - tail)?.text === after.at(-1 - tail)) tail += 1;
	const endOf = (at: number) => {
		const isLast = at === after.length - 1;
		if (isLast) return '';
		if (at < head) return before[at]?.end || usual;
		if (at >= after.length - tail) return before[before.length - after.length + at]?.end || usual;
		return usual;
	};
	return after.map((text, at) => text + endOf(at)).join('');
}

function mostFrequentEnd(lines: readonly Line[]): string {
	const counts = new Map<string, number>();
	for (const { end } of lines) if (end) counts.set(end, (counts.get(end) ?? 0) + 1);
	return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0] ?? '\n';
}
