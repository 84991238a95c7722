/** The ways to find users of the platform: kinds, texts, and orders of the table. */
import type { AdminUser } from '../api/types';
import type { Finder } from '../components/find';

export type UserKind = 'active' | 'disabled' | 'admins' | 'teamless';
export type UserSortKey = 'name' | 'email' | 'teams' | 'created';

export const FIND_USERS: Finder<AdminUser, UserKind, UserSortKey> = {
	kinds: {
		active: ({ is_active }) => is_active,
		disabled: ({ is_active }) => !is_active,
		admins: ({ is_admin }) => is_admin,
		teamless: ({ teams_joined }) => teams_joined === 0
	},
	textsOf: ({ name, email, id }) => [name, email, id],
	// The shortest age and the largest number come first.
	orders: {
		name: (a, b) => a.name.localeCompare(b.name),
		email: (a, b) => a.email.localeCompare(b.email),
		teams: (a, b) => b.teams_joined - a.teams_joined || b.teams_owned - a.teams_owned,
		created: (a, b) => b.created_at.localeCompare(a.created_at)
	}
};
