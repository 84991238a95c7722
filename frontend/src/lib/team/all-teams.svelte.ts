/** The teams of the platform, newest first, also those that are deleted; for administrators of the platform. */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { AdminTeam } from '../api/types';
import { events } from '../events';
import { PolledPages, type Page, type PageQuery } from '../polling/pages.svelte';

class AllTeams extends PolledPages<AdminTeam> {
	constructor() {
		super();
		events.on('session:changed', () => this.forget());
		events.on('any-team:changed', () => this.refresh());
	}

	protected override async page(query: PageQuery, signal: AbortSignal): Promise<Page<AdminTeam>> {
		const call = api.GET('/v1/admin/teams', { params: { query }, signal });
		const items = await unwrap(call);
		return { items, next: (await call).response.headers.get('X-Next-Token') };
	}
}

export const allTeams = new AllTeams();
