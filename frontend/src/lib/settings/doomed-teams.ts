/** Finds what becomes of the user's teams when their account is deleted. */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { Team } from '../api/types';

export interface TeamsAfterwards {
	/** Only the user belongs to them: they are deleted, with everything in them. */
	doomed: readonly Team[];
	/** The user owns them and others belong to them: the account cannot be deleted until they are handed over. */
	blocking: readonly Team[];
}

/** Looks at the members of the teams that the user owns; from the others they only disappear. */
export async function teamsAfterwards(signal: AbortSignal): Promise<TeamsAfterwards> {
	const teams = await unwrap(api.GET('/v1/teams', { signal }));
	const owned = teams.filter(({ role }) => role === 'owner');
	const sizes = await Promise.all(owned.map(({ id }) => countMembers(id, signal)));
	return {
		doomed: owned.filter((_, at) => sizes[at] === 1),
		blocking: owned.filter((_, at) => sizes[at] !== 1)
	};
}

async function countMembers(id: string, signal: AbortSignal): Promise<number> {
	const path = { id };
	const members = await unwrap(api.GET('/v1/teams/{id}/members', { params: { path }, signal }));
	return members.length;
}
