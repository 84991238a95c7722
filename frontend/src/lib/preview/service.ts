/** What a user can do with the previews of a capsule. */
import { api } from '../api/client';
import { toApiError, unwrap } from '../api/errors';
import type { SetPreviewRequest } from '../api/types';
import { events } from '../events';
import { toasts } from '../components/toasts.svelte';

/** Changes who may reach the ports of a capsule, and says how it went. */
export async function setPreview(id: string, body: SetPreviewRequest): Promise<void> {
	try {
		const params = { path: { id } };
		const capsule = await unwrap(api.PUT('/v1/capsules/{id}/preview', { params, body }));
		events.emit('capsule:changed', capsule);
	} catch (error) {
		toasts.failed(`The preview was not changed: ${toApiError(error).message}`);
		return;
	}
	toasts.done(body.rotate_token ? 'The token is new' : `The preview needs ${needs(body)} now`);
}

function needs({ access }: SetPreviewRequest): string {
	return access === 'public' ? 'no token' : 'the token';
}
