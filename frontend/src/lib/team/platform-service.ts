/** Acts of an administrator of the platform on any team. Errors go to the caller, whose dialog shows them. */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { AdminTeam, QuotaLimits } from '../api/types';
import { toasts } from '../components/toasts.svelte';
import { events } from '../events';
import { session } from '../session/session.svelte';
import { texts } from '../texts';
import { departing } from './service';

const words = texts.allTeams;

/** Allows or forbids a team to bring hosts. */
export async function setByoc({ id, name }: AdminTeam, enabled: boolean): Promise<void> {
	const params = { path: { id } };
	await unwrap(api.PUT('/v1/admin/teams/{id}/byoc', { params, body: { enabled } }));
	announce();
	toasts.done(enabled ? words.byocAllowed(name) : words.byocForbidden(name));
}

/** Replaces the limits of a team. */
export async function setQuota({ id, name }: AdminTeam, body: QuotaLimits): Promise<void> {
	await unwrap(api.PUT('/v1/admin/teams/{id}/quota', { params: { path: { id } }, body }));
	announce();
	toasts.done(words.quotaSet(name));
}

/** Deletes a team with all that it has; an administrator who acted for it acts for another one. */
export async function deleteAnyTeam({ id, name }: AdminTeam): Promise<void> {
	const doDelete = () => unwrap(api.DELETE('/v1/admin/teams/{id}', { params: { path: { id } } }));
	await (id === session.current?.team_id ? departing(id, doDelete) : doDelete());
	announce();
	toasts.done(texts.team.deleted(name));
}

function announce(): void {
	events.emit('any-team:changed', undefined);
	// The administrator may belong to it.
	events.emit('team:changed', undefined);
}
