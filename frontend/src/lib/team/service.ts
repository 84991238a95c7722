/** Actions of a user on teams, their members and their invitations. */
import { api } from '../api/client';
import { ApiError, isAbort, toApiError, unwrap } from '../api/errors';
import type { Invitation, NewMemberRole, Team, TeamMember, TeamRole } from '../api/types';
import { toasts } from '../components/toasts.svelte';
import { events } from '../events';
import { session } from '../session/session.svelte';
import { texts } from '../texts';

const words = texts.team;

let switching: AbortController | undefined;
events.on('session:changed', () => switching?.abort());

/**
 * Acts for one of the user's teams from now on, and says how it went. The team that was chosen last counts, whichever answer
 * comes first. Returns true if the user acts for another team now.
 */
export async function switchTeam({ id, name }: Pick<Team, 'id' | 'name'>): Promise<boolean> {
	switching?.abort();
	if (id === session.current?.team_id) return false;
	const asked = new AbortController();
	switching = asked;
	try {
		const call = api.POST('/v1/auth/switch-team', { body: { team_id: id }, signal: asked.signal });
		const answer = await unwrap(call);
		if (asked.signal.aborted) return false;
		session.begin(answer);
	} catch (error) {
		if (isAbort(error) || asked.signal.aborted) return false;
		toasts.failed(texts.shell.teamNotSwitched(name, toApiError(error).message));
		return false;
	}
	toasts.done(texts.shell.teamSwitched(name));
	return true;
}

/** Creates a team and acts for it; errors go to the caller, whose form shows them. */
export async function createTeam(name: string): Promise<void> {
	const team = await unwrap(api.POST('/v1/teams', { body: { name } }));
	toasts.done(words.created(team.name));
	await switchTeam(team);
}

/** Gives a team another name; errors go to the caller, whose form shows them. */
export async function renameTeam({ id }: Pick<Team, 'id'>, name: string): Promise<void> {
	await unwrap(api.PATCH('/v1/teams/{id}', { params: { path: { id } }, body: { name } }));
	events.emit('team:changed', undefined);
	toasts.done(words.renamed(name));
}

/** The way a person was added: at once, by mail, or by a link that has to be passed on. */
export type Addition = { kind: 'member' } | { kind: 'mail' } | { kind: 'link'; link: string };

/**
 * Adds the account with an address, or invites the person; errors go to the caller, whose form shows them. A server
 * without mail knows no way to the person, so its invitation has a link.
 */
export async function addPerson(
	{ id }: Pick<Team, 'id'>,
	email: string,
	role: NewMemberRole
): Promise<Addition> {
	const params = { path: { id } };
	const body = { email, role };
	let answer: TeamMember | Invitation;
	try {
		answer = await unwrap<TeamMember | Invitation>(
			api.POST('/v1/teams/{id}/members', { params, body })
		);
	} catch (error) {
		if (!(error instanceof ApiError) || error.code !== 'not_found') throw error;
		answer = await unwrap(api.POST('/v1/teams/{id}/invitations', { params, body }));
	}
	if ('user_id' in answer) {
		events.emit('member:changed', undefined);
		toasts.done(words.added(answer.name));
		return { kind: 'member' };
	}
	events.emit('invitation:changed', undefined);
	if (answer.token === undefined) {
		toasts.done(words.invitedByMail(email));
		return { kind: 'mail' };
	}
	toasts.done(words.invitedByLink(email));
	return { kind: 'link', link: invitationLink(answer.token) };
}

/** The page of the dashboard to which the server's own mails lead, too. */
function invitationLink(token: string): string {
	const link = new URL('/invitation', location.origin);
	link.searchParams.set('token', token);
	return link.href;
}

/** Gives a member another role, and says how it went. The former owner becomes an admin. */
export async function setRole(teamId: string, member: TeamMember, role: TeamRole): Promise<void> {
	const params = { path: { id: teamId, uid: member.user_id } };
	try {
		await unwrap(api.PATCH('/v1/teams/{id}/members/{uid}', { params, body: { role } }));
	} catch (error) {
		toasts.failed(words.roleNotSet(member.name, toApiError(error).message));
		return;
	}
	events.emit('member:changed', undefined);
	// The user's own role may be another one, too.
	events.emit('team:changed', undefined);
	toasts.done(words.roleSet(member.name, words.roles[role].toLowerCase()));
}

/** Removes a member and says how it went. */
export async function removeMember(teamId: string, member: TeamMember): Promise<void> {
	const params = { path: { id: teamId, uid: member.user_id } };
	try {
		await unwrap(api.DELETE('/v1/teams/{id}/members/{uid}', { params }));
	} catch (error) {
		toasts.failed(words.notRemoved(member.name, toApiError(error).message));
		return;
	}
	events.emit('member:changed', undefined);
	toasts.done(words.removed(member.name));
}

/** Revokes an invitation and says how it went. */
export async function revokeInvitation({ id, team_id, email }: Invitation): Promise<void> {
	const params = { path: { id: team_id, iid: id } };
	try {
		await unwrap(api.DELETE('/v1/teams/{id}/invitations/{iid}', { params }));
	} catch (error) {
		toasts.failed(words.notRevoked(email, toApiError(error).message));
		return;
	}
	events.emit('invitation:changed', undefined);
	toasts.done(words.revoked(email));
}

/** Leaves a team and acts for another; errors go to the caller, whose dialog shows them. */
export async function leaveTeam({ id, name }: Pick<Team, 'id' | 'name'>): Promise<void> {
	await departing(id, () => unwrap(api.POST('/v1/teams/{id}/leave', { params: { path: { id } } })));
	toasts.done(words.left(name));
}

/** Deletes a team with all that it has, and acts for another; errors go to the caller, whose dialog shows them. */
export async function deleteTeam({ id, name }: Pick<Team, 'id' | 'name'>): Promise<void> {
	await departing(id, () => unwrap(api.DELETE('/v1/teams/{id}', { params: { path: { id } } })));
	toasts.done(words.deleted(name));
}

/** Teams that the user is about to have no longer, by the user's own act. */
const departures = new Set<string>();

/** Does what takes a team from the user, who then acts for another one. */
export async function departing(id: string, depart: () => Promise<unknown>): Promise<void> {
	departures.add(id);
	try {
		await depart();
		await actForAnother(id);
	} finally {
		departures.delete(id);
	}
}

/** Acts for another of the user's teams, or for none if there is none, unless that has happened already. */
async function actForAnother(lostId: string): Promise<void> {
	const others = await unwrap(api.GET('/v1/teams'));
	const current = session.current;
	if (current?.team_id !== lostId) return;
	const next = others.find(({ id }) => id !== lostId);
	if (next && (await switchTeam(next))) return;
	session.begin({ ...current, team_id: '' });
}

events.on('team:lost', ({ id }) => {
	if (departures.has(id)) return;
	departures.add(id);
	toasts.failed(words.lost);
	// If the server cannot be reached, the next list of teams tells it again.
	actForAnother(id)
		.catch(() => undefined)
		.finally(() => departures.delete(id));
});
