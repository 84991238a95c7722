/**
 * The folders that are known, as the rows of a tree, and how the keyboard moves among them.
 *
 * Rows are made anew whenever something changes, and few of them are drawn, so a row is no more than what is needed to
 * draw it.
 */
import type { ApiError } from '../api/errors';
import { sortEntries, type Entry, type Sorting } from './entries';

/** The known state of a folder. */
export interface FolderState {
	entries: readonly Entry[];
	/** There is more than the server lists. */
	isTruncated: boolean;
	/** False until the first answer. */
	isLoaded: boolean;
	error: ApiError | null;
}

export const UNKNOWN: FolderState = {
	entries: [],
	isTruncated: false,
	isLoaded: false,
	error: null
};

export interface EntryRow {
	kind: 'entry';
	id: string;
	entry: Entry;
	/** 1 for what is in the folder that the tree begins with. */
	level: number;
	/** Its place among its siblings, counted from 1, and how many they are. */
	place: number;
	siblings: number;
	/** Null for what cannot be unfolded. */
	isExpanded: boolean | null;
}

/** A line about an unfolded folder. */
export interface NoteRow {
	kind: 'note';
	id: string;
	folder: string;
	level: number;
	note: 'loading' | 'empty' | 'truncated' | 'error';
	error: ApiError | null;
}

export type Row = EntryRow | NoteRow;

/** Sorting takes most of the time, so it is done once for each list. */
const sorted = new WeakMap<readonly Entry[], { sorting: Sorting; items: readonly Entry[] }>();

export function sortOnce(entries: readonly Entry[], sorting: Sorting): readonly Entry[] {
	const known = sorted.get(entries);
	if (known?.sorting === sorting) return known.items;
	const items = sortEntries(entries, sorting);
	sorted.set(entries, { sorting, items });
	return items;
}

export function rowsOf(
	root: string,
	folders: ReadonlyMap<string, FolderState>,
	expanded: ReadonlySet<string>,
	sorting: Sorting
): readonly Row[] {
	const rows: Row[] = [];
	const add = (folder: string, level: number) => {
		const state = folders.get(folder) ?? UNKNOWN;
		const note = (note: NoteRow['note']) =>
			rows.push({
				kind: 'note',
				id: `${note} ${folder}`,
				folder,
				level,
				note,
				error: state.error
			});
		// The page says this of the folder that the tree begins with.
		const isRoot = level === 1;
		if (state.error && !isRoot) note('error');
		const entries = sortOnce(state.entries, sorting);
		for (const [index, entry] of entries.entries()) {
			const isFolder = entry.type === 'directory';
			const isExpanded = isFolder ? expanded.has(entry.path) : null;
			rows.push({
				kind: 'entry',
				id: entry.path,
				entry,
				level,
				place: index + 1,
				siblings: entries.length,
				isExpanded
			});
			if (isExpanded) add(entry.path, level + 1);
		}
		if (isRoot) return;
		if (state.isTruncated) note('truncated');
		if (!state.isLoaded && !state.error) note('loading');
		if (state.isLoaded && entries.length === 0) note('empty');
	};
	add(root, 1);
	return rows;
}

/** Keys that go to another row. */
const PAGE_ROWS = 15;

/**
 * Returns the index of the row that a key leads to; -1 if it leads nowhere. Left goes to the folder that a row is in, Right
 * to the first row in an unfolded one; folding is somebody else's business.
 */
export function rowAfterKey(rows: readonly Row[], from: number, key: string): number {
	switch (key) {
		case 'ArrowDown':
			return step(rows, from, 1, 1);
		case 'ArrowUp':
			return from < 0 ? step(rows, rows.length, -1, 1) : step(rows, from, -1, 1);
		case 'PageDown':
			return step(rows, from, 1, PAGE_ROWS);
		case 'PageUp':
			return step(rows, from, -1, PAGE_ROWS);
		case 'Home':
			return step(rows, -1, 1, 1);
		case 'End':
			return step(rows, rows.length, -1, 1);
		case 'ArrowLeft':
			return parentOf(rows, from);
		case 'ArrowRight': {
			const next = step(rows, from, 1, 1);
			return (rows[next]?.level ?? 0) > (rows[from]?.level ?? 0) ? next : -1;
		}
		default:
			return -1;
	}
}

/** As many rows with an entry further as there are, at most `count`. */
function step(rows: readonly Row[], from: number, by: 1 | -1, count: number): number {
	let found = -1;
	for (let at = from + by, left = count; at >= 0 && at < rows.length && left > 0; at += by) {
		if (rows[at]?.kind !== 'entry') continue;
		found = at;
		left -= 1;
	}
	return found;
}

function parentOf(rows: readonly Row[], from: number): number {
	const level = rows[from]?.level ?? 0;
	for (let at = from - 1; at >= 0; at--) {
		if ((rows[at]?.level ?? 0) < level) return at;
	}
	return -1;
}

/**
 * The next row whose name begins with what was typed, from `from` on and around; -1 if there is none. One letter alone goes
 * on to the next one that begins with it.
 */
export function rowByTyping(rows: readonly Row[], from: number, typed: string): number {
	const wanted = typed.toLowerCase();
	const first = typed.length > 1 ? Math.max(0, from) : from + 1;
	for (let offset = 0; offset < rows.length; offset++) {
		const at = (first + offset) % rows.length;
		const row = rows[at];
		if (row?.kind === 'entry' && row.entry.name.toLowerCase().startsWith(wanted)) return at;
	}
	return -1;
}
