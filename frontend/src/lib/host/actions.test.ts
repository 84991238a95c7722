import { expect, it } from 'vitest';
import type { Host, TeamRole } from '../api/types';
import { texts } from '../texts';
import { getHostActions, managingObstacle } from './actions';

const host: Host = {
	id: 'host-1',
	type: 'byoc',
	team_id: 'team-1',
	provider: null,
	availability_zone: null,
	arch: null,
	cpu_cores: null,
	memory_mb: null,
	disk_gb: null,
	address: null,
	status: 'pending',
	last_heartbeat_at: null,
	created_at: '2026-11-30T12:00:00Z',
	updated_at: '2026-11-30T12:00:00Z'
};
const me = (role: TeamRole) => ({ userId: 'usr-1', teamId: 'team-1', role, isAdmin: false });
const obstacles = (role: TeamRole, of: Host) =>
	getHostActions(me(role), of, () => undefined).map(({ obstacle }) => obstacle);

it('lets only admins and the owner of the team manage its hosts', () => {
	expect(obstacles('member', host)).toEqual(Array(3).fill(texts.permission.admin));
	expect(obstacles('admin', host)).toEqual([null, null, null]);
	expect(managingObstacle({ ...me('owner'), teamId: null })).toBe(texts.permission.noTeam);
});

it('makes no token for a host that is there', () => {
	expect(obstacles('owner', { ...host, status: 'online' })[0]).toBe(texts.host.isOnline);
	expect(obstacles('owner', { ...host, status: 'unreachable' })[0]).toBeNull();
});

it('opens a host that is drained', () => {
	const [, drain] = getHostActions(me('owner'), { ...host, status: 'draining' }, () => undefined);
	expect(drain?.text).toBe(texts.host.open);
});
