import { expect, it } from 'vitest';
import { texts } from '../texts';
import { denial, type Principal } from './principal.svelte';

const member: Principal = { userId: 'usr-1', teamId: 'team-1', role: 'member', isAdmin: false };
const { permission } = texts;

it('follows the roles of the team', () => {
	expect(denial(member, 'create_capsule')).toBeNull();
	expect(denial(member, 'add_member')).toBe(permission.admin);
	expect(denial({ ...member, role: 'admin' }, 'add_member')).toBeNull();
	expect(denial({ ...member, role: 'admin' }, 'delete_team')).toBe(permission.owner);
	expect(denial({ ...member, role: 'owner' }, 'delete_team')).toBeNull();
});

it('does not guess a role that is not known yet', () => {
	expect(denial({ ...member, role: null }, 'delete_team')).toBeNull();
});

it('lets nobody without a team do what belongs to one', () => {
	const loner = { ...member, teamId: null, role: null };
	expect(denial(loner, 'create_capsule')).toBe(permission.noTeam);
	expect(denial(loner, 'create_team')).toBeNull();
});

it('does not take an administrator of the platform for one of the team', () => {
	const admin = { ...member, isAdmin: true };
	expect(denial(member, 'list_all_users')).toBe(permission.platform);
	expect(denial(admin, 'list_all_users')).toBeNull();
	expect(denial(admin, 'delete_team')).toBe(permission.owner);
});
