/** The actions of a user on the previews of a capsule. */
import { api } from '../api/client';
import { toApiError, unwrap } from '../api/errors';
import type { SetPreviewRequest } from '../api/types';
import { events } from '../events';
import { toasts } from '../components/toasts.svelte';
import { texts } from '../texts';

/** Changes who may reach the ports of a capsule, and says how it went. */
export async function setPreview(id: string, body: SetPreviewRequest): Promise<void> {
	try {
		const params = { path: { id } };
		const capsule = await unwrap(api.PUT('/v1/capsules/{id}/preview', { params, body }));
		events.emit('capsule:changed', capsule);
	} catch (error) {
		toasts.failed(texts.preview.notChanged(toApiError(error).message));
		return;
	}
	const { rotated, isPublic, needsToken } = texts.preview;
	toasts.done(body.rotate_token ? rotated : body.access === 'public' ? isPublic : needsToken);
}
