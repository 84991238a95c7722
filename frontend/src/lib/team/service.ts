/** Actions of a user on teams. */
import { api } from '../api/client';
import { toApiError, unwrap } from '../api/errors';
import type { Team } from '../api/types';
import { toasts } from '../components/toasts.svelte';
import { session } from '../session/session.svelte';
import { texts } from '../texts';

/** Acts for another of the user's teams from now on, and says how it went. Returns whether it does. */
export async function switchTeam({ id, name }: Pick<Team, 'id' | 'name'>): Promise<boolean> {
	try {
		session.begin(await unwrap(api.POST('/v1/auth/switch-team', { body: { team_id: id } })));
	} catch (error) {
		toasts.failed(texts.shell.teamNotSwitched(name, toApiError(error).message));
		return false;
	}
	toasts.done(texts.shell.teamSwitched(name));
	return true;
}

/** Creates a team and acts for it; errors go to the caller, whose form shows them. */
export async function createTeam(name: string): Promise<void> {
	const team = await unwrap(api.POST('/v1/teams', { body: { name } }));
	toasts.done(texts.team.created(team.name));
	await switchTeam(team);
}
