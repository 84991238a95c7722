/** The actions on an entry of a folder, and why one is not possible. */
import Download from '@lucide/svelte/icons/download';
import FolderOpen from '@lucide/svelte/icons/folder-open';
import Pencil from '@lucide/svelte/icons/pencil';
import SquarePen from '@lucide/svelte/icons/square-pen';
import Trash from '@lucide/svelte/icons/trash-2';
import type { FileEntry } from '../api/types';
import type { Action } from '../components/action';
import Spinner from '../components/Spinner.svelte';
import { formatSize } from '../format';
import { denial, type Principal } from '../session/principal.svelte';
import { texts } from '../texts';
import { EDITED_BYTES } from './content';
import { isReadable } from './entries';

export interface FileState {
	isText: boolean;
	/** True if all of the text is there, and it is not too large. */
	canEdit: boolean;
	isEdited: boolean;
	/** True if something was typed that is not saved. */
	isDirty: boolean;
	isDownloading: boolean;
}

export type FileAsk = Record<'open' | 'edit' | 'download' | 'rename' | 'remove', () => void>;

export function getFileActions(
	principal: Principal,
	entry: FileEntry,
	state: FileState,
	ask: FileAsk
): Action[] {
	const words = texts.files.actions;
	const { obstacles } = texts.files;
	const { name } = entry;
	const isFolder = entry.type === 'directory';
	const unsaved = state.isDirty ? obstacles.unsaved : null;

	const open: Action = {
		id: 'open',
		text: words.open,
		label: words.openOf(name),
		icon: FolderOpen,
		obstacle: denial(principal, 'list_dir'),
		run: ask.open
	};
	const edit: Action = {
		id: 'edit',
		text: words.edit,
		label: words.editOf(name),
		icon: SquarePen,
		obstacle: denial(principal, 'write_file') ?? editObstacle(state),
		run: ask.edit
	};
	const download: Action = {
		id: 'download',
		text: words.download,
		label: words.downloadOf(name),
		icon: state.isDownloading ? Spinner : Download,
		obstacle:
			denial(principal, 'stream_read_file') ??
			(isReadable(entry) ? null : obstacles.noFile) ??
			(state.isDownloading ? obstacles.downloading : null),
		run: ask.download
	};
	return [
		...(isFolder ? [open] : [edit, download]),
		{
			id: 'rename',
			text: words.rename,
			label: words.renameOf(name),
			icon: Pencil,
			obstacle: denial(principal, 'rename_file') ?? unsaved,
			run: ask.rename
		},
		{
			id: 'remove',
			text: words.remove,
			label: words.removeOf(name),
			icon: Trash,
			look: 'danger',
			obstacle: denial(principal, 'remove_file') ?? unsaved,
			run: ask.remove
		}
	];
}

function editObstacle({ canEdit, isText, isEdited }: FileState): string | null {
	const { obstacles } = texts.files;
	if (isEdited) return obstacles.isEdited;
	if (!isText) return obstacles.notText;
	return canEdit ? null : obstacles.tooLarge(formatSize(EDITED_BYTES));
}
