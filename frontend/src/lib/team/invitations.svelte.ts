/** The open invitations of the team that the session acts for, newest first. Only admins and owners see them. */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { Invitation } from '../api/types';
import { events } from '../events';
import { newestFirst, newsOf, PolledList } from '../polling/polled.svelte';
import { session } from '../session/session.svelte';

class InvitationList extends PolledList<Invitation> {
	constructor() {
		// An invitation that is accepted makes a member.
		super(newsOf('member.changed'));
		events.on('session:changed', () => this.forget());
		events.on('invitation:changed', () => this.refresh());
	}

	protected override async list(signal: AbortSignal): Promise<Invitation[]> {
		const id = session.current?.team_id;
		if (!id) return [];
		const params = { path: { id } };
		return await unwrap(api.GET('/v1/teams/{id}/invitations', { params, signal }));
	}

	protected override compare(a: Invitation, b: Invitation): number {
		return newestFirst(a, b) || a.id.localeCompare(b.id);
	}
}

export const invitations = new InvitationList();
