/** Operations on builds, of the team or of the platform. */
import { api } from '../api/client';
import { unexpectedAnswer, unwrap } from '../api/errors';
import type { Build, BuildHead, CreateBuildRequest, RecipeFaults } from '../api/types';
import { upload } from '../api/upload';
import { copyText } from '../components/clipboard';
import { toasts } from '../components/toasts.svelte';
import { events } from '../events';
import { texts } from '../texts';
import { API, type BuildScope } from './scope';

const words = texts.build;

/** The newest builds, at most `limit`. */
export function listBuilds(
	scope: BuildScope,
	limit: number,
	signal: AbortSignal
): Promise<Build[]> {
	return unwrap(api.GET(API[scope].builds, { params: { query: { limit } }, signal }));
}

export function getBuild(scope: BuildScope, id: string, signal: AbortSignal): Promise<Build> {
	return unwrap(api.GET(API[scope].build, { params: { path: { id } }, signal }));
}

/** Streams the events of a build after one of them, as text; with an empty id from the beginning. */
export async function followBuild(
	scope: BuildScope,
	id: string,
	lastId: string,
	signal: AbortSignal
): Promise<ReadableStream<Uint8Array>> {
	const header = lastId === '' ? {} : { 'Last-Event-ID': lastId };
	const params = { path: { id }, header };
	const call = api.GET(API[scope].logs, { params, signal, parseAs: 'stream' });
	const body: unknown = await unwrap(call);
	if (body instanceof ReadableStream) return body as ReadableStream<Uint8Array>;
	throw unexpectedAnswer();
}

/** Starts a build; errors go to the caller, whose form shows them. */
export async function createBuild(
	scope: BuildScope,
	request: CreateBuildRequest,
	archive: File | null,
	signal: AbortSignal,
	onProgress: (sentBytes: number) => void
): Promise<Build> {
	const build = archive
		? await createWithArchive(scope, request, archive, signal, onProgress)
		: await unwrap(api.POST(API[scope].builds, { body: request, signal }));
	events.emit('build:created', build);
	toasts.done(words.queuedToast(build.name));
	return build;
}

async function createWithArchive(
	scope: BuildScope,
	request: CreateBuildRequest,
	archive: File,
	signal: AbortSignal,
	onProgress: (sentBytes: number) => void
): Promise<Build> {
	const form = new FormData();
	// Faults of the recipe are told before the archive has been sent.
	form.append('config', new Blob([JSON.stringify(request)], { type: 'application/json' }));
	form.append('archive', archive);
	const answer = await upload(API[scope].builds, form, signal, onProgress);
	if (typeof answer === 'object' && answer !== null && 'id' in answer) return answer as Build;
	throw unexpectedAnswer();
}

/** Tells the faults of a recipe and of a healthcheck (empty if there is none), without building anything. */
export function checkBuild(
	recipe: string,
	healthcheck: string,
	signal: AbortSignal
): Promise<RecipeFaults> {
	const body = { recipe, ...(healthcheck === '' ? {} : { healthcheck }) };
	return unwrap(api.POST('/v1/builds/check', { body, signal }));
}

/** Cancels a build; errors go to the caller, whose dialog shows them. */
export async function cancelBuild(
	scope: BuildScope,
	{ id, name }: Pick<BuildHead, 'id' | 'name'>
): Promise<void> {
	const build = await unwrap(api.POST(API[scope].cancel, { params: { path: { id } } }));
	events.emit('build:changed', build);
	toasts.done(words.cancelledToast(name));
}

/** Puts the recipe of a build on the clipboard and says so. */
export async function copyRecipe({ recipe }: Pick<BuildHead, 'recipe'>): Promise<void> {
	if (await copyText(recipe.join('\n'))) toasts.done(words.recipeCopied);
	else toasts.failed(texts.common.copyFailed(words.whatRecipe));
}
