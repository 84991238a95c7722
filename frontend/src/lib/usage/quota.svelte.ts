/** The limits of the team that the session acts for, and what it uses of them. */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { TeamQuota } from '../api/types';
import { events } from '../events';
import { newsOf, Polled } from '../polling/polled.svelte';
import { session } from '../session/session.svelte';

class Quota extends Polled<TeamQuota> {
	constructor() {
		super(newsOf('capsule.changed', 'template.changed', 'build.changed', 'team.changed'));
		events.on('session:changed', () => this.forget());
	}

	protected override ask(signal: AbortSignal): Promise<TeamQuota> {
		const params = { path: { id: session.current?.team_id ?? '' } };
		return unwrap(api.GET('/v1/teams/{id}/quota', { params, signal }));
	}
}

export const teamQuota = new Quota();
