/** The users that somebody wants to see, and their order. */
import type { AdminUser } from '../api/types';
import { sorted, type Order } from '../components/table';

export const USER_KINDS = ['active', 'disabled', 'admins', 'teamless'] as const;
export type UserKind = (typeof USER_KINDS)[number];
export type UserSortKey = 'name' | 'email' | 'teams' | 'created';

export interface UserQuery {
	/** Part of the name, the address or the id. */
	text: string;
	/** Empty for all of them. */
	kind: UserKind | '';
	order: Order<UserSortKey>;
}

export const ALL_USERS: Readonly<UserQuery> = {
	text: '',
	kind: '',
	order: { key: 'created', isDescending: false }
};

/** Returns true if the users who are wanted are not simply the newest. */
export function needsAllUsers({ text, kind, order }: UserQuery): boolean {
	return text.trim() !== '' || kind !== '' || order.key !== 'created' || order.isDescending;
}

export function applyUserQuery(items: readonly AdminUser[], query: UserQuery): AdminUser[] {
	const wanted = query.text.trim().toLowerCase();
	const found = items.filter(
		(user) =>
			(query.kind === '' || IS_OF[query.kind](user)) &&
			[user.name, user.email, user.id].some((value) => value.toLowerCase().includes(wanted))
	);
	return sorted(found, query.order, ORDERS);
}

const IS_OF: Record<UserKind, (user: AdminUser) => boolean> = {
	active: ({ is_active }) => is_active,
	disabled: ({ is_active }) => !is_active,
	admins: ({ is_admin }) => is_admin,
	teamless: ({ teams_joined }) => teams_joined === 0
};

/** The shortest age and the largest number come first. */
const ORDERS: Record<UserSortKey, (a: AdminUser, b: AdminUser) => number> = {
	name: (a, b) => a.name.localeCompare(b.name),
	email: (a, b) => a.email.localeCompare(b.email),
	teams: (a, b) => b.teams_joined - a.teams_joined || b.teams_owned - a.teams_owned,
	created: (a, b) => b.created_at.localeCompare(a.created_at)
};
