import { describe, expect, it } from 'vitest';
import { ApiError } from '../api/errors';
import type { Entry } from './entries';
import { rowAfterKey, rowByTyping, rowsOf, UNKNOWN, type FolderState, type Row } from './tree-rows';

const BY_NAME = { key: 'name', isDescending: false } as const;

function entry(path: string, type: Entry['type'] = 'file'): Entry {
	return {
		id: path,
		path,
		name: path.slice(path.lastIndexOf('/') + 1),
		type,
		size: 1,
		mode: 0o644,
		permissions: '-rw-r--r--',
		owner: 'root',
		group: 'root',
		modified_at: 1,
		symlink_target: null
	};
}

const loaded = (...entries: Entry[]): FolderState => ({ ...UNKNOWN, entries, isLoaded: true });

const FOLDERS = new Map<string, FolderState>([
	['/x', loaded(entry('/x/b.txt'), entry('/x/src', 'directory'), entry('/x/a.txt'))],
	['/x/src', loaded(entry('/x/src/lib', 'directory'), entry('/x/src/main.rs'))],
	['/x/src/lib', loaded()]
]);

function shown(rows: readonly Row[]): string[] {
	return rows.map((row) => {
		const text = row.kind === 'entry' ? row.entry.name : `(${row.note})`;
		return '  '.repeat(row.level - 1) + text;
	});
}

const folded = rowsOf('/x', FOLDERS, new Set(), BY_NAME);
const unfolded = rowsOf('/x', FOLDERS, new Set(['/x/src', '/x/src/lib']), BY_NAME);

describe('the rows of a tree', () => {
	it('are folders first, with what is in the unfolded ones', () => {
		expect(shown(folded)).toEqual(['src', 'a.txt', 'b.txt']);
		expect(shown(unfolded)).toEqual(['src', '  lib', '    (empty)', '  main.rs', 'a.txt', 'b.txt']);
		expect(unfolded[3]).toMatchObject({ level: 2, place: 2, siblings: 2, isExpanded: null });
	});

	it('say what is not known of a folder', () => {
		const error = new ApiError('not_found', 'gone', 404);
		const states: [Partial<FolderState>, string][] = [
			[{}, '  (loading)'],
			[{ error }, '  (error)'],
			[{ isLoaded: true }, '  (empty)'],
			[{ isLoaded: true, isTruncated: true }, '  (truncated)']
		];
		for (const [state, note] of states) {
			const folders = new Map(FOLDERS).set('/x/src', { ...UNKNOWN, ...state });
			expect(shown(rowsOf('/x', folders, new Set(['/x/src']), BY_NAME))[1]).toBe(note);
		}
		// The page says it of the first one.
		expect(rowsOf('/y', FOLDERS, new Set(), BY_NAME)).toEqual([]);
	});
});

describe('the keyboard', () => {
	const after = (from: number, key: string) => rowAfterKey(unfolded, from, key);

	it('moves over entries, and over nothing else', () => {
		expect(after(0, 'ArrowDown')).toBe(1);
		expect(after(1, 'ArrowDown')).toBe(3);
		expect(after(3, 'ArrowUp')).toBe(1);
		expect(after(5, 'ArrowDown')).toBe(-1);
		expect(after(0, 'ArrowUp')).toBe(-1);
		expect(after(3, 'Home')).toBe(0);
		expect(after(3, 'End')).toBe(5);
		expect(after(0, 'PageDown')).toBe(5);
		expect(after(-1, 'ArrowDown')).toBe(0);
		expect(after(-1, 'ArrowUp')).toBe(5);
	});

	it('goes into folders and out of them', () => {
		expect(after(3, 'ArrowLeft')).toBe(0);
		expect(after(1, 'ArrowLeft')).toBe(0);
		expect(after(0, 'ArrowLeft')).toBe(-1);
		expect(after(0, 'ArrowRight')).toBe(1);
		expect(after(3, 'ArrowRight')).toBe(-1);
	});

	it('finds what is typed', () => {
		expect(rowByTyping(unfolded, 0, 'm')).toBe(3);
		expect(rowByTyping(unfolded, 4, 'a')).toBe(4);
		expect(rowByTyping(unfolded, 3, 'B.t')).toBe(5);
		expect(rowByTyping(unfolded, 4, 'a.')).toBe(4);
		expect(rowByTyping(unfolded, 0, 'zz')).toBe(-1);
		expect(rowByTyping([], -1, 'a')).toBe(-1);
	});
});
