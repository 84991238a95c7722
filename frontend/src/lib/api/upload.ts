/** Sending files, with the session's token, as the client of the API does for everything else. */
import { bearer, noteRefusal } from './client';
import { refusalIn, toApiError } from './errors';
import { session } from '../session/session.svelte';
import { postForm } from '../streams/post-form';

export async function upload(
	url: string,
	form: FormData,
	signal: AbortSignal,
	onProgress: (sentBytes: number) => void
): Promise<unknown> {
	const authorization = bearer(session.current?.token ?? '');
	try {
		return await postForm({ url, authorization, form }, signal, onProgress);
	} catch (error) {
		const refusal = refusalIn(toApiError(error));
		if (refusal !== null) noteRefusal(authorization, refusal);
		throw error;
	}
}
