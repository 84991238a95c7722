/** The questions that the page of the files asks before it does something. */
import type { FileEntry } from '../api/types';

export type FileQuestion =
	| { kind: 'make'; what: 'file' | 'folder'; folder: string }
	| { kind: 'rename' | 'remove'; entry: FileEntry }
	/** `taken`: how many of the uploaded files replace something. */
	| { kind: 'replace'; folder: string; taken: number; send: () => void }
	| { kind: 'overwrite'; path: string };
