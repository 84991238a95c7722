import { expect, it } from 'vitest';
import type { TeamRole } from '../api/types';
import type { Principal } from '../session/principal.svelte';
import { texts } from '../texts';
import { getMemberActions, memberObstacle } from './actions';

const me = (role: TeamRole): Principal => ({
	userId: 'usr-me',
	teamId: 'team-1',
	role,
	isAdmin: false
});
const other = (role: TeamRole) => ({ user_id: 'usr-other', name: 'Ada', role });

it('lets members do nothing, and says why', () => {
	const actions = getMemberActions(me('member'), other('member'), () => undefined);
	expect(actions.map(({ id }) => id)).toEqual(['remove', 'promote', 'handOver']);
	for (const action of actions.slice(0, 2)) expect(action.obstacle).toBe(texts.permission.admin);
});

it('lets admins change everybody but the owner', () => {
	expect(memberObstacle(me('admin'), other('admin'), 'demote')).toBeNull();
	expect(memberObstacle(me('admin'), other('member'), 'remove')).toBeNull();
	expect(memberObstacle(me('admin'), other('owner'), 'remove')).toBe(texts.team.ownerStays);
	expect(memberObstacle(me('admin'), other('owner'), 'demote')).toBe(texts.team.ownerStays);
	expect(memberObstacle(me('admin'), other('member'), 'handOver')).toBe(texts.permission.owner);
});

it('lets the owner hand over, and nobody remove themselves', () => {
	expect(memberObstacle(me('owner'), other('member'), 'handOver')).toBeNull();
	const self = { user_id: 'usr-me', role: 'admin' as const };
	expect(memberObstacle(me('admin'), self, 'remove')).toBe(texts.team.removeSelf);
	expect(memberObstacle(me('admin'), self, 'demote')).toBeNull();
});
