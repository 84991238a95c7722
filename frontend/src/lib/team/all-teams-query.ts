/** The teams of the platform that somebody wants to see, and their order. */
import type { AdminTeam } from '../api/types';
import { sorted, type Order } from '../components/table';

export const TEAM_KINDS = ['present', 'byoc', 'limited', 'deleted'] as const;
export type TeamKind = (typeof TEAM_KINDS)[number];
export type TeamSortKey = 'name' | 'owner' | 'members' | 'running' | 'created';

export interface TeamQuery {
	/** Part of the name, the slug, the id, or of the owner's name or address. */
	text: string;
	/** Empty for all of them. */
	kind: TeamKind | '';
	order: Order<TeamSortKey>;
}

const NEWEST_FIRST: Order<TeamSortKey> = { key: 'created', isDescending: false };

export const ALL_TEAMS: Readonly<TeamQuery> = { text: '', kind: '', order: NEWEST_FIRST };

/** Returns true if the teams that are wanted are not simply the newest. */
export function needsAllTeams({ text, kind, order }: TeamQuery): boolean {
	return text.trim() !== '' || kind !== '' || order.key !== 'created' || order.isDescending;
}

export function applyTeamQuery(items: readonly AdminTeam[], query: TeamQuery): AdminTeam[] {
	const wanted = query.text.trim().toLowerCase();
	const found = items.filter(
		(team) =>
			(query.kind === '' || IS_OF[query.kind](team)) &&
			[team.name, team.slug, team.id, team.owner_name, team.owner_email].some((value) =>
				value?.toLowerCase().includes(wanted)
			)
	);
	return sorted(found, query.order, ORDERS);
}

/** Returns true if a team has limits of its own. */
export function hasOwnLimits({ quota }: AdminTeam): boolean {
	return Object.values(quota).some((limit) => limit !== null);
}

const IS_OF: Record<TeamKind, (team: AdminTeam) => boolean> = {
	present: ({ deleted_at }) => deleted_at === null,
	byoc: ({ is_byoc, deleted_at }) => is_byoc && deleted_at === null,
	limited: (team) => hasOwnLimits(team) && team.deleted_at === null,
	deleted: ({ deleted_at }) => deleted_at !== null
};

/** The shortest age and the largest number come first. */
const ORDERS: Record<TeamSortKey, (a: AdminTeam, b: AdminTeam) => number> = {
	name: (a, b) => a.name.localeCompare(b.name),
	owner: (a, b) => (a.owner_name ?? '').localeCompare(b.owner_name ?? ''),
	members: (a, b) => b.member_count - a.member_count,
	running: (a, b) => b.running_capsules - a.running_capsules,
	created: (a, b) => b.created_at.localeCompare(a.created_at)
};
