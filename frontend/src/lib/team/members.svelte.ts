/** The members of the team that the session acts for: the owner, then admins, then members. */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { TeamMember, TeamRole } from '../api/types';
import { events } from '../events';
import { newsOf, PolledList } from '../polling/polled.svelte';
import { session } from '../session/session.svelte';

/** A member with the id by which lists know their items. */
export type Member = TeamMember & { id: string };

const ORDER: Record<TeamRole, number> = { owner: 0, admin: 1, member: 2 };

class MemberList extends PolledList<Member> {
	constructor() {
		super(newsOf('member.changed', 'team.changed'));
		events.on('session:changed', () => this.forget());
		events.on('member:changed', () => this.refresh());
	}

	/** The name of a user; null if the user is no member. */
	nameOf(userId: string): string | null {
		return this.items.find(({ id }) => id === userId)?.name ?? null;
	}

	protected override async list(signal: AbortSignal): Promise<Member[]> {
		const id = session.current?.team_id;
		if (!id) return [];
		const params = { path: { id } };
		const members = await unwrap(api.GET('/v1/teams/{id}/members', { params, signal }));
		return members.map((member) => ({ ...member, id: member.user_id }));
	}

	protected override compare(a: Member, b: Member): number {
		return ORDER[a.role] - ORDER[b.role] || a.joined_at.localeCompare(b.joined_at);
	}
}

export const members = new MemberList();
