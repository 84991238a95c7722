/** What an admin of the platform can do with builds. */
import { api } from '../api/client';
import { unexpectedAnswer, unwrap } from '../api/errors';
import type { Build, CreateBuildRequest } from '../api/types';
import { events } from '../events';
import { toasts } from '../components/toasts.svelte';
import { upload } from '../api/upload';

export function listBuilds(signal: AbortSignal): Promise<Build[]> {
	return unwrap(api.GET('/v1/admin/builds', { signal }));
}

export function getBuild(id: string, signal: AbortSignal): Promise<Build> {
	return unwrap(api.GET('/v1/admin/builds/{id}', { params: { path: { id } }, signal }));
}

/** What happens in a build after an event of its, as text; with an empty id from the beginning. */
export async function followBuild(
	id: string,
	lastId: string,
	signal: AbortSignal
): Promise<ReadableStream<Uint8Array>> {
	const header = lastId === '' ? {} : { 'Last-Event-ID': lastId };
	const params = { path: { id }, header };
	const call = api.GET('/v1/admin/builds/{id}/logs', { params, signal, parseAs: 'stream' });
	const body: unknown = await unwrap(call);
	if (body instanceof ReadableStream) return body as ReadableStream<Uint8Array>;
	throw unexpectedAnswer();
}

/** Starts a build; errors go to the caller, whose form shows them. */
export async function createBuild(
	request: CreateBuildRequest,
	archive: File | null,
	signal: AbortSignal,
	onProgress: (sentBytes: number) => void
): Promise<Build> {
	const build = archive
		? await createWithArchive(request, archive, signal, onProgress)
		: await unwrap(api.POST('/v1/admin/builds', { body: request, signal }));
	events.emit('build:created', build);
	toasts.done(`Build of ${build.name} is queued`);
	return build;
}

async function createWithArchive(
	request: CreateBuildRequest,
	archive: File,
	signal: AbortSignal,
	onProgress: (sentBytes: number) => void
): Promise<Build> {
	const form = new FormData();
	// What is wrong with the recipe is told before the archive has been sent.
	form.append('config', new Blob([JSON.stringify(request)], { type: 'application/json' }));
	form.append('archive', archive);
	const answer = await upload('/v1/admin/builds', form, signal, onProgress);
	if (typeof answer === 'object' && answer !== null && 'id' in answer) return answer as Build;
	throw unexpectedAnswer();
}

/** Cancels a build; errors go to the caller, whose dialog shows them. */
export async function cancelBuild({ id, name }: { id: string; name: string }): Promise<void> {
	const build = await unwrap(
		api.POST('/v1/admin/builds/{id}/cancel', { params: { path: { id } } })
	);
	events.emit('build:changed', build);
	toasts.done(`Build of ${name} is cancelled`);
}
