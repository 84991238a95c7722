/** The operations of a user on API keys. */
import { api } from '../api/client';
import { toApiError, unwrap } from '../api/errors';
import type { CreateApiKeyRequest, CreatedApiKey } from '../api/types';
import { events } from '../events';
import { toasts } from '../components/toasts.svelte';
import { texts } from '../texts';

/** Creates a key. The answer is the only one that carries the key itself. */
export async function createKey(body: CreateApiKeyRequest): Promise<CreatedApiKey> {
	const created = await unwrap(api.POST('/v1/api-keys', { body }));
	// The secret is for the dialog that asked for it, not for the list.
	events.emit('key:created', { ...created, key: undefined });
	return created;
}

/** Deletes a key and says how it went. Returns whether it is gone. */
export async function deleteKey(id: string, name: string): Promise<boolean> {
	try {
		await unwrap(api.DELETE('/v1/api-keys/{id}', { params: { path: { id } } }));
	} catch (error) {
		toasts.failed(texts.key.notDeleted(name, toApiError(error).message));
		return false;
	}
	events.emit('key:deleted', { id });
	toasts.done(texts.key.deleted(name));
	return true;
}
