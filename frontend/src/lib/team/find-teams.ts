/** The ways to find teams of the platform: kinds, texts, and orders of the table. */
import type { AdminTeam } from '../api/types';
import type { Finder } from '../components/find';
import { countLimits } from '../usage/quota-form';

export type TeamKind = 'present' | 'byoc' | 'limited' | 'deleted';
export type TeamSortKey = 'name' | 'owner' | 'members' | 'running' | 'created';

export const FIND_TEAMS: Finder<AdminTeam, TeamKind, TeamSortKey> = {
	kinds: {
		present: ({ deleted_at }) => deleted_at === null,
		byoc: ({ is_byoc, deleted_at }) => is_byoc && deleted_at === null,
		limited: ({ quota, deleted_at }) => countLimits(quota) > 0 && deleted_at === null,
		deleted: ({ deleted_at }) => deleted_at !== null
	},
	textsOf: ({ name, slug, id, owner_name, owner_email }) => [
		name,
		slug,
		id,
		owner_name,
		owner_email
	],
	// The shortest age and the largest number come first.
	orders: {
		name: (a, b) => a.name.localeCompare(b.name),
		owner: (a, b) => (a.owner_name ?? '').localeCompare(b.owner_name ?? ''),
		members: (a, b) => b.member_count - a.member_count,
		running: (a, b) => b.running_capsules - a.running_capsules,
		created: (a, b) => b.created_at.localeCompare(a.created_at)
	}
};
