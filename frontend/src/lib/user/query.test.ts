import { expect, it } from 'vitest';
import type { AdminUser } from '../api/types';
import { ALL_USERS, applyUserQuery, needsAllUsers } from './query';

const user = (id: string, over: Partial<AdminUser> = {}): AdminUser => ({
	id,
	name: id.toUpperCase(),
	email: `${id}@example.org`,
	is_admin: false,
	is_active: true,
	teams_joined: 1,
	teams_owned: 1,
	created_at: '2026-01-01T00:00:00Z',
	...over
});
const ada = user('ada', { created_at: '2026-03-01T00:00:00Z' });
const bob = user('bob', { is_active: false, created_at: '2026-02-01T00:00:00Z' });
const cleo = user('cleo', { is_admin: true, teams_joined: 0 });
const idsOf = (query: Partial<typeof ALL_USERS>) =>
	applyUserQuery([ada, bob, cleo], { ...ALL_USERS, ...query }).map(({ id }) => id);

it('finds by name, address and id', () => {
	expect(idsOf({})).toEqual(['ada', 'bob', 'cleo']);
	expect(idsOf({ text: ' BOB@ ' })).toEqual(['bob']);
	expect(idsOf({ text: 'nobody' })).toEqual([]);
});

it('finds kinds of users', () => {
	expect(idsOf({ kind: 'disabled' })).toEqual(['bob']);
	expect(idsOf({ kind: 'admins' })).toEqual(['cleo']);
	expect(idsOf({ kind: 'teamless' })).toEqual(['cleo']);
	expect(idsOf({ kind: 'active' })).toEqual(['ada', 'cleo']);
});

it('sorts by a column, and the other way round', () => {
	expect(idsOf({ order: { key: 'email', isDescending: true } })).toEqual(['cleo', 'bob', 'ada']);
	expect(idsOf({ order: { key: 'created', isDescending: true } })).toEqual(['cleo', 'bob', 'ada']);
	expect(idsOf({ order: { key: 'teams', isDescending: false } })).toEqual(['ada', 'bob', 'cleo']);
});

it('needs all of them for more than the newest', () => {
	expect(needsAllUsers(ALL_USERS)).toBe(false);
	expect(needsAllUsers({ ...ALL_USERS, text: ' ' })).toBe(false);
	expect(needsAllUsers({ ...ALL_USERS, text: 'a' })).toBe(true);
	expect(needsAllUsers({ ...ALL_USERS, kind: 'admins' })).toBe(true);
	expect(needsAllUsers({ ...ALL_USERS, order: { key: 'name', isDescending: false } })).toBe(true);
});
