/** Operations by which admins of a team manage the hosts that it has brought, and administrators of the platform all of them. */
import { api } from '../api/client';
import { toApiError, unwrap } from '../api/errors';
import type { CreateHostRequest, Host, HostDeletePreview } from '../api/types';
import { toasts } from '../components/toasts.svelte';
import { events } from '../events';
import { texts } from '../texts';

const words = texts.host;

/** The command with which a machine becomes the host that the token is for. */
function joinCommand(token: string): string {
	return `wrenn agent join ${token}`;
}

/** Makes the record of a host; errors go to the caller, whose form shows them. Returns the command to run on the machine. */
export async function createHost(body: CreateHostRequest): Promise<string> {
	const created = await unwrap(api.POST('/v1/hosts', { body }));
	events.emit('host:changed', { id: created.host.id });
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
	events.emit('host:changed', { id });
	toasts.done(enabled ? words.drained(id) : words.opened(id));
}

/** Gives a host a tag; errors go to the caller, whose form shows them. */
export async function addTag({ id }: Host, tag: string): Promise<void> {
	const params = { path: { id } };
	await unwrap(api.POST('/v1/hosts/{id}/tags', { params, body: { tag } }));
	events.emit('host:changed', { id });
}

/** Takes a tag from a host, and says so if that went wrong. Returns whether the host is without it. */
export async function removeTag({ id }: Host, tag: string): Promise<boolean> {
	const params = { path: { id, tag } };
	try {
		await unwrap(api.DELETE('/v1/hosts/{id}/tags/{tag}', { params }));
	} catch (thrown) {
		const error = toApiError(thrown);
		// Gone already: somebody else was faster.
		if (error.code !== 'not_found') {
			toasts.failed(words.tagNotRemoved(tag, error.message));
			return false;
		}
	}
	events.emit('host:changed', { id });
	return true;
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
	events.emit('host:changed', { id });
	toasts.done(words.deleted(id));
}
