import { expect, it } from 'vitest';
import type { Host, TeamRole } from '../api/types';
import { texts } from '../texts';
import { getHostActions, managingObstacle, tagProblem } from './actions';

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
	expect(obstacles('member', host)).toEqual(Array(4).fill(texts.permission.admin));
	expect(obstacles('admin', host)).toEqual(Array(4).fill(null));
	expect(managingObstacle({ ...me('owner'), teamId: null })).toBe(texts.permission.noTeam);
});

it('lets administrators of the platform manage the hosts of others', () => {
	const admin = { ...me('member'), isAdmin: true };
	const actions = getHostActions(admin, { ...host, team_id: 'team-2' }, () => undefined);
	expect(actions.map(({ obstacle }) => obstacle)).toEqual(Array(4).fill(null));
	expect(managingObstacle(admin)).toBe(texts.permission.admin);
});

it('makes no token for a host that is there', () => {
	expect(obstacles('owner', { ...host, status: 'online' })[0]).toBe(texts.host.isOnline);
	expect(obstacles('owner', { ...host, status: 'unreachable' })[0]).toBeNull();
});

it('opens a host that is drained', () => {
	const [, , drain] = getHostActions(me('owner'), { ...host, status: 'draining' }, () => undefined);
	expect(drain?.text).toBe(texts.host.open);
});

it('takes only tags that the server takes, and each once', () => {
	expect(tagProblem('rack=4', ['gpu'])).toBeNull();
	expect(tagProblem('gpu', ['gpu'])).toBe(texts.host.tagKnown);
	for (const wrong of ['', '-gpu', 'two words']) {
		expect(tagProblem(wrong, [])).toBe(texts.host.tagRule);
	}
	expect(tagProblem('a'.repeat(64), [])).toBe(texts.forms.atMostCharacters(63));
});
