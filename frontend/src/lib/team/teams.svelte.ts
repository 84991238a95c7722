/** The user's teams, and which of them the session acts for. */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { Team } from '../api/types';
import { events } from '../events';
import { newsOf, PolledList } from '../polling/polled.svelte';
import { session } from '../session/session.svelte';

class TeamList extends PolledList<Team> {
	constructor() {
		super(newsOf('team.changed', 'member.changed'));
		events.on('session:changed', () => this.forget());
		events.on('team:changed', () => this.refresh());
	}

	/** The team that the session acts for; null for somebody without one, and while it is not known. */
	get current(): Team | null {
		return this.items.find(({ id }) => id === session.current?.team_id) ?? null;
	}

	protected override async list(signal: AbortSignal): Promise<Team[]> {
		const teams = await unwrap(api.GET('/v1/teams', { signal }));
		const id = session.current?.team_id;
		// The user was removed, or the team was deleted.
		if (id && !signal.aborted && !teams.some((team) => team.id === id)) {
			events.emit('team:lost', { id });
		}
		return teams;
	}

	protected override compare(a: Team, b: Team): number {
		return a.name.localeCompare(b.name) || a.id.localeCompare(b.id);
	}
}

export const teams = new TeamList();
