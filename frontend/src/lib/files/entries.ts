/** The entries of a folder, as they are shown. */
import type { FileEntry } from '../api/types';

/** An entry with what tells it from others, over all looks at a folder. */
export interface Entry extends FileEntry {
	id: string;
}

export type SortKey = 'name' | 'size' | 'modified';
export interface Sorting {
	key: SortKey;
	isDescending: boolean;
}

const COLLATOR = new Intl.Collator('en', { numeric: true });

/** Folders first, then by what was asked for, then by name. */
export function sortEntries(entries: readonly Entry[], { key, isDescending }: Sorting): Entry[] {
	const byName = (a: Entry, b: Entry) =>
		COLLATOR.compare(a.name, b.name) || (a.name < b.name ? -1 : Number(a.name > b.name));
	const by: Record<SortKey, (a: Entry, b: Entry) => number> = {
		name: byName,
		size: (a, b) => a.size - b.size,
		modified: (a, b) => a.modified_at - b.modified_at
	};
	const sign = isDescending ? -1 : 1;
	return [...entries].sort(
		(a, b) =>
			Number(b.type === 'directory') - Number(a.type === 'directory') ||
			sign * by[key](a, b) ||
			byName(a, b)
	);
}

const SPECIAL = {
	fifo: 'pipe',
	socket: 'socket',
	char_device: 'device',
	block_device: 'device'
} as const;

/** What stands in the place of a size, where there is none. */
export function kindText({ type, special, symlink_target }: FileEntry): string | null {
	if (special) return SPECIAL[special];
	if (type === 'symlink') return symlink_target ? `→ ${symlink_target}` : 'link';
	return null;
}

/** Whether it has content that can be read. */
export function isReadable({ type, special }: FileEntry): boolean {
	return type !== 'directory' && !special;
}

/** `0644`, as `chmod` takes it. */
export function formatMode(mode: number): string {
	return mode.toString(8).padStart(4, '0');
}
