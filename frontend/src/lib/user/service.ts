/** Acts of an administrator of the platform on accounts. Errors go to the caller, whose dialog shows them. */
import { api } from '../api/client';
import { toApiError, unwrap } from '../api/errors';
import type { AdminUser, ResetLink } from '../api/types';
import { toasts } from '../components/toasts.svelte';
import { events } from '../events';
import { session } from '../session/session.svelte';
import { texts } from '../texts';

const words = texts.user;

/** Switches an account off: its sessions and keys end at once. */
export async function switchOff(user: AdminUser): Promise<void> {
	await setActive(user, false);
	toasts.done(words.switchedOff(user.name));
}

/** Switches an account on again, and says how it went. */
export async function switchOn(user: AdminUser): Promise<void> {
	try {
		await setActive(user, true);
	} catch (error) {
		toasts.failed(words.notSwitchedOn(user.name, toApiError(error).message));
		return;
	}
	toasts.done(words.switchedOn(user.name));
}

async function setActive({ id }: AdminUser, active: boolean): Promise<void> {
	await unwrap(
		api.PUT('/v1/admin/users/{id}/active', { params: { path: { id } }, body: { active } })
	);
	events.emit('user:changed', undefined);
}

/** Makes a user an administrator of the platform, or takes that back. */
export async function setAdmin({ id, name }: AdminUser, isAdmin: boolean): Promise<void> {
	const params = { path: { id } };
	await unwrap(api.PUT('/v1/admin/users/{id}/admin', { params, body: { is_admin: isAdmin } }));
	toasts.done(isAdmin ? words.adminMade(name) : words.adminUnmade(name));
	const current = session.current;
	// The token stays good; what the user may do with it is another matter from now on.
	if (current?.user_id === id) session.begin({ ...current, is_admin: isAdmin });
	else events.emit('user:changed', undefined);
}

/** Makes a link by which a user sets a new password. The former link of the user ends. */
export async function createResetLink({ id }: AdminUser): Promise<ResetLink> {
	const params = { path: { id } };
	return unwrap(api.POST('/v1/admin/users/{id}/reset-link', { params }));
}
