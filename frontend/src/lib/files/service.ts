/** What a user can do with the files of a capsule. An empty `user` means the capsule's default one. */
import { api } from '../api/client';
import { toApiError, unwrap } from '../api/errors';
import type { FileEntry, FolderList } from '../api/types';
import { chooseTarget, pour, type Target } from './download';
import { normalize } from './paths';
import { readText, type FileText } from './preview-text';
import type { TransferTask } from './transfers.svelte';
import { toasts } from '../components/toasts.svelte';
import { upload } from '../api/upload';

const as = (user: string) => (user ? { user } : {});
const of = (id: string) => ({ path: { id } });

export function listFolder(
	id: string,
	path: string,
	user: string,
	signal: AbortSignal
): Promise<FolderList> {
	const body = { path, ...as(user) };
	return unwrap(api.POST('/v1/capsules/{id}/files/list', { params: of(id), body, signal }));
}

/** Where a user's relative paths begin. */
export async function homeFolder(id: string, user: string, signal: AbortSignal): Promise<string> {
	const body = { path: '.', ...as(user) };
	const call = api.POST('/v1/capsules/{id}/files/stat', { params: of(id), body, signal });
	return normalize((await unwrap(call)).entry.path);
}

/** The events of a folder, as text. */
export async function watchFolder(
	id: string,
	path: string,
	user: string,
	signal: AbortSignal
): Promise<Body> {
	const params = { ...of(id), query: { path, ...as(user) } };
	return bodyOf(
		await unwrap(api.GET('/v1/capsules/{id}/files/watch', { params, signal, parseAs: 'stream' }))
	);
}

/** Makes a folder; errors go to the caller, whose form shows them. */
export async function makeFolder(id: string, path: string, user: string): Promise<void> {
	const body = { path, ...as(user) };
	await unwrap(api.POST('/v1/capsules/{id}/files/mkdir', { params: of(id), body }));
	toasts.done(`${path} is made`);
}

/** Renames or moves; errors go to the caller, whose form shows them. */
export async function renameEntry(
	id: string,
	move: { from: string; to: string; overwrite: boolean },
	user: string
): Promise<void> {
	const body = { ...move, ...as(user) };
	await unwrap(api.POST('/v1/capsules/{id}/files/rename', { params: of(id), body }));
	toasts.done(`${move.from} is ${move.to} now`);
}

/** Removes a file, or a folder with all that is in it, and says how it went. */
export async function removeEntry(id: string, path: string, user: string): Promise<boolean> {
	const body = { path, ...as(user) };
	try {
		await unwrap(api.POST('/v1/capsules/{id}/files/remove', { params: of(id), body }));
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
	return readText(await read(id, path, user, signal));
}

export function uploadTask(id: string, path: string, user: string, file: Blob): TransferTask {
	return {
		kind: 'upload',
		path,
		totalBytes: file.size,
		run: async (signal, onProgress) => {
			// Where it goes comes before what goes there: the server writes while it reads.
			const form = new FormData();
			form.append('path', path);
			if (user) form.append('user', user);
			form.append('file', file);
			await upload(`/v1/capsules/${id}/files/stream/write`, form, signal, (sentBytes) =>
				onProgress(Math.min(sentBytes, file.size))
			);
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
			let body: Body;
			try {
				body = await read(id, entry.path, user, signal);
			} catch (error) {
				await target.discard();
				throw error;
			}
			await pour(body, target, onProgress);
		}
	};
}

type Body = ReadableStream<Uint8Array<ArrayBuffer>>;

async function read(id: string, path: string, user: string, signal: AbortSignal): Promise<Body> {
	const body = { path, ...as(user) };
	const call = api.POST('/v1/capsules/{id}/files/stream/read', {
		params: of(id),
		body,
		signal,
		parseAs: 'stream'
	});
	return bodyOf(await unwrap(call));
}

/** An answer without any bytes has no body. */
function bodyOf(body: unknown): Body {
	return body instanceof ReadableStream ? (body as Body) : new Blob().stream();
}
