/** The user's teams: what the id of a team is called. */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { Team } from '../api/types';
import { events } from '../events';
import { session } from '../session/session.svelte';

class TeamList {
	#items = $state.raw<readonly Team[]>([]);

	constructor() {
		events.on('session:changed', () => (this.#items = []));
	}

	find(id: string): Team | undefined {
		return this.#items.find((team) => team.id === id);
	}

	/** Loads the names; without them ids are shown, so a failure is nobody's concern. */
	async load(): Promise<void> {
		const asker = session.current;
		try {
			const teams = await unwrap(api.GET('/v1/teams'));
			if (session.current === asker) this.#items = teams;
		} catch {
			return;
		}
	}
}

export const teams = new TeamList();
