/** What a user can do with the files of a capsule. An empty `user` means the capsule's default one. */
import { toApiError } from '../api/errors';
import { request, requestJson, type FileEntry } from '../api/pending';
import { chooseTarget, pour, type Target } from '../files/download';
import { normalize } from '../files/paths';
import { readText, type FileText } from '../files/preview-text';
import type { TransferTask } from '../files/transfers.svelte';
import { upload } from '../files/upload';
import { session } from '../managers/session.svelte';
import { toasts } from '../managers/toasts.svelte';

const as = (user: string): Record<string, string> => (user ? { user } : {});
const at = (id: string, what: string) => `/v1/capsules/${id}/files/${what}`;

export interface FolderList {
	entries: FileEntry[];
	truncated?: boolean;
}

export function listFolder(
	id: string,
	path: string,
	user: string,
	signal: AbortSignal
): Promise<FolderList> {
	return requestJson<FolderList>('POST', at(id, 'list'), { path, ...as(user) }, signal);
}

/** Where a user's relative paths begin. */
export async function homeFolder(id: string, user: string, signal: AbortSignal): Promise<string> {
	const answer = await requestJson<{ entry: FileEntry }>(
		'POST',
		at(id, 'stat'),
		{ path: '.', ...as(user) },
		signal
	);
	return normalize(answer.entry.path);
}

/** The events of a folder, as text. */
export async function watchFolder(
	id: string,
	path: string,
	user: string,
	signal: AbortSignal
): Promise<ReadableStream<Uint8Array>> {
	const query = new URLSearchParams({ path, ...as(user) });
	const response = await request('GET', `${at(id, 'watch')}?${query}`, undefined, signal);
	return bodyOf(response);
}

/** Makes a folder; errors go to the caller, whose form shows them. */
export async function makeFolder(id: string, path: string, user: string): Promise<void> {
	await request('POST', at(id, 'mkdir'), { path, ...as(user) });
	toasts.done(`${path} is made`);
}

/** Renames or moves; errors go to the caller, whose form shows them. */
export async function renameEntry(
	id: string,
	move: { from: string; to: string; overwrite: boolean },
	user: string
): Promise<void> {
	await request('POST', at(id, 'rename'), { ...move, ...as(user) });
	toasts.done(`${move.from} is ${move.to} now`);
}

/** Removes a file, or a folder with all that is in it, and says how it went. */
export async function removeEntry(id: string, path: string, user: string): Promise<boolean> {
	try {
		await request('POST', at(id, 'remove'), { path, ...as(user) });
	} catch (error) {
		toasts.failed(`${path} was not deleted: ${toApiError(error).message}`);
		return false;
	}
	toasts.done(`${path} is deleted`);
	return true;
}

/** Reads the beginning of a file; errors go to the caller. */
export async function viewFile(
	id: string,
	path: string,
	user: string,
	signal: AbortSignal
): Promise<FileText> {
	return readText(bodyOf(await read(id, path, user, signal)));
}

export function uploadTask(id: string, path: string, user: string, file: Blob): TransferTask {
	return {
		kind: 'upload',
		path,
		totalBytes: file.size,
		run: (signal, onProgress) => {
			const token = session.current?.token ?? '';
			const url = at(id, 'stream/write');
			return upload({ url, token, path, user, file }, signal, onProgress);
		}
	};
}

/** Asks where to, if need be; null if the user changed their mind. Must come at once after a click. */
export async function downloadTask(
	id: string,
	entry: FileEntry,
	user: string
): Promise<TransferTask | null> {
	let first: Target | null = await chooseTarget(entry.name, entry.size);
	if (!first) return null;
	return {
		kind: 'download',
		path: entry.path,
		totalBytes: entry.type === 'file' && entry.size > 0 ? entry.size : null,
		run: async (signal, onProgress) => {
			// A target takes one download; who tries again is asked again.
			const target = first ?? (await chooseTarget(entry.name, entry.size));
			first = null;
			if (!target) throw new DOMException('cancelled', 'AbortError');
			const response = await read(id, entry.path, user, signal);
			await pour(bodyOf(response), target, onProgress);
		}
	};
}

function read(id: string, path: string, user: string, signal: AbortSignal): Promise<Response> {
	return request('POST', at(id, 'stream/read'), { path, ...as(user) }, signal);
}

function bodyOf(response: Response): ReadableStream<Uint8Array<ArrayBuffer>> {
	return response.body ?? new Blob().stream();
}
