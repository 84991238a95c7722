/** The operations of a user on the files of a capsule. An empty `user` means the capsule's default one. */
import { api } from '../api/client';
import { ApiError, toApiError, unwrap } from '../api/errors';
import type { FileEntry, FolderList } from '../api/types';
import { chooseTarget, pour, type Target } from './download';
import { join, normalize, parent } from './paths';
import type { TransferTask } from './transfers.svelte';
import { toasts } from '../components/toasts.svelte';
import { upload } from '../api/upload';
import { texts } from '../texts';

const words = texts.files;
/** Links that lead to links are followed so far. */
const LINKS_MAX = 8;

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

/** Returns the entry at a path; of a link, the link itself. */
export async function statEntry(
	id: string,
	path: string,
	user: string,
	signal?: AbortSignal
): Promise<FileEntry> {
	const body = { path, ...as(user) };
	const call = api.POST('/v1/capsules/{id}/files/stat', { params: of(id), body, signal });
	return (await unwrap(call)).entry;
}

/** Returns the folder that a user's relative paths begin in. */
export async function homeFolder(id: string, user: string, signal: AbortSignal): Promise<string> {
	return normalize((await statEntry(id, '.', user, signal)).path);
}

/** Returns the entry at a path, or, if that is a link, the entry that it leads to. */
export async function resolveLink(
	id: string,
	path: string,
	user: string,
	signal?: AbortSignal
): Promise<FileEntry> {
	let entry = await statEntry(id, path, user, signal);
	for (let links = 0; entry.type === 'symlink' && links < LINKS_MAX; links++) {
		entry = await statEntry(id, join(parent(entry.path), entry.symlink_target ?? ''), user, signal);
	}
	return entry;
}

/** The events of a folder, and of those below it if it is deep, as text. */
export async function watchFolder(
	id: string,
	path: string,
	user: string,
	isDeep: boolean,
	signal: AbortSignal
): Promise<Body> {
	const params = { ...of(id), query: { path, recursive: isDeep, ...as(user) } };
	return bodyOf(
		await unwrap(api.GET('/v1/capsules/{id}/files/watch', { params, signal, parseAs: 'stream' }))
	);
}

/** Makes a folder; errors go to the caller, whose form shows them. */
export async function makeFolder(id: string, path: string, user: string): Promise<void> {
	const body = { path, ...as(user) };
	await unwrap(api.POST('/v1/capsules/{id}/files/mkdir', { params: of(id), body }));
	toasts.done(words.made(path));
}

/** Renames or moves; errors go to the caller, whose form shows them. */
export async function renameEntry(
	id: string,
	move: { from: string; to: string; overwrite: boolean },
	user: string
): Promise<void> {
	const body = { ...move, ...as(user) };
	await unwrap(api.POST('/v1/capsules/{id}/files/rename', { params: of(id), body }));
	toasts.done(words.renamed(move.from, move.to));
}

/** Removes a file, or a folder with all that is in it, and says how it went. */
export async function removeEntry(id: string, path: string, user: string): Promise<boolean> {
	const body = { path, ...as(user) };
	try {
		await unwrap(api.POST('/v1/capsules/{id}/files/remove', { params: of(id), body }));
	} catch (error) {
		toasts.failed(words.notDeleted(path, toApiError(error).message));
		return false;
	}
	toasts.done(words.deleted(path));
	return true;
}

/** Makes an empty file where nothing is; errors go to the caller, whose form shows them. */
export async function makeFile(
	id: string,
	path: string,
	user: string,
	isReplacing: boolean
): Promise<void> {
	if (!isReplacing) {
		const body = { path, ...as(user) };
		const call = api.POST('/v1/capsules/{id}/files/exists', { params: of(id), body });
		if ((await unwrap(call)).exists) throw new ApiError('conflict', words.taken(path), 409);
	}
	await writeText(id, path, user, '');
	toasts.done(words.made(path));
}

/** Puts a text in the place of what is at a path; errors go to the caller. */
export async function writeText(
	id: string,
	path: string,
	user: string,
	text: string
): Promise<void> {
	const never = new AbortController().signal;
	await upload(
		`/v1/capsules/${id}/files/write`,
		formOf(path, user, new Blob([text])),
		never,
		() => undefined
	);
}

/** The bytes of a file that is an image. */
export async function readImage(
	id: string,
	path: string,
	user: string,
	signal: AbortSignal
): Promise<Blob> {
	return new Response(await streamFile(id, path, user, signal)).blob();
}

/** The destination comes before the content: the server writes while it reads. */
function formOf(path: string, user: string, file: Blob): FormData {
	const form = new FormData();
	form.append('path', path);
	if (user) form.append('user', user);
	form.append('file', file);
	return form;
}

export function uploadTask(id: string, path: string, user: string, file: Blob): TransferTask {
	return {
		kind: 'upload',
		path,
		totalBytes: file.size,
		run: async (signal, onProgress) => {
			const form = formOf(path, user, file);
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
				body = await streamFile(id, entry.path, user, signal);
			} catch (error) {
				await target.discard();
				throw error;
			}
			await pour(body, target, onProgress);
		}
	};
}

type Body = ReadableStream<Uint8Array<ArrayBuffer>>;

/** The content of a file as it comes. */
export async function streamFile(
	id: string,
	path: string,
	user: string,
	signal: AbortSignal
): Promise<Body> {
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
