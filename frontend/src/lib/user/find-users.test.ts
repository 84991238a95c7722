import { expect, it } from 'vitest';
import { find, newest, type Query } from '../components/find';
import { FIND_USERS, type UserKind, type UserSortKey } from './find-users';
import { adminUser as user } from './testing';

const ada = user('ada', { created_at: '2026-03-01T00:00:00Z' });
const bob = user('bob', { is_active: false, created_at: '2026-02-01T00:00:00Z' });
const cleo = user('cleo', { is_admin: true, teams_joined: 0 });
const idsOf = (query: Partial<Query<UserKind, UserSortKey>>) =>
	find([ada, bob, cleo], { ...newest<UserKind, UserSortKey>(), ...query }, FIND_USERS).map(
		({ id }) => id
	);

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
