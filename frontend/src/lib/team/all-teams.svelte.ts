/** The teams of the platform, newest first, also those that are deleted; for administrators of the platform. */
import { api } from '../api/client';
import { unwrapPage, type Page } from '../api/errors';
import type { AdminTeam } from '../api/types';
import { events } from '../events';
import { PolledPages, type PageQuery } from '../polling/pages.svelte';

class AllTeams extends PolledPages<AdminTeam> {
	constructor() {
		super();
		events.on('session:changed', () => this.forget());
		events.on('any-team:changed', () => this.refresh());
	}

	protected override page(query: PageQuery, signal: AbortSignal): Promise<Page<AdminTeam>> {
		return unwrapPage(api.GET('/v1/admin/teams', { params: { query }, signal }));
	}
}

export const allTeams = new AllTeams();
