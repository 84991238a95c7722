/** Operations by which admins of a team manage the hosts that it has brought. */
import { api } from '../api/client';
import { toApiError, unwrap } from '../api/errors';
import type { Host, HostDeletePreview } from '../api/types';
import { toasts } from '../components/toasts.svelte';
import { events } from '../events';
import { texts } from '../texts';

const words = texts.host;

/** The command with which a machine becomes the host that the token is for. */
function joinCommand(token: string): string {
	return `wrenn agent join ${token}`;
}

/** Makes the record of a host; errors go to the caller, whose form shows them. Returns the command to run on the machine. */
export async function createHost(body: {
	provider?: string;
	availability_zone?: string;
}): Promise<string> {
	const created = await unwrap(api.POST('/v1/hosts', { body: { type: 'byoc', ...body } }));
	events.emit('host:changed', undefined);
	return joinCommand(created.registration_token);
}

/** Makes another token for a host; errors go to the caller, whose dialog shows them. */
export async function issueToken(id: string): Promise<string> {
	const issued = await unwrap(api.POST('/v1/hosts/{id}/token', { params: { path: { id } } }));
	return joinCommand(issued.registration_token);
}

/** Keeps new capsules off a host, or lets them on it again, and says how it went. */
export async function drainHost({ id }: Host, enabled: boolean): Promise<void> {
	const params = { path: { id } };
	try {
		await unwrap(api.POST('/v1/hosts/{id}/drain', { params, body: { enabled } }));
	} catch (error) {
		toasts.failed(words.notDrained(id, toApiError(error).message));
		return;
	}
	events.emit('host:changed', undefined);
	toasts.done(enabled ? words.drained(id) : words.opened(id));
}

/** Everything that ends with a host. */
export function previewDeletion(id: string): Promise<HostDeletePreview> {
	return unwrap(api.GET('/v1/hosts/{id}/delete-preview', { params: { path: { id } } }));
}

/**
 * Deletes a host; errors go to the caller, whose dialog shows them.
 *
 * @param force whether its capsules may end with it; without, the server refuses while there are any
 */
export async function deleteHost(id: string, force: boolean): Promise<void> {
	const params = { path: { id }, query: { force } };
	await unwrap(api.DELETE('/v1/hosts/{id}', { params }));
	events.emit('host:changed', undefined);
	toasts.done(words.deleted(id));
}
