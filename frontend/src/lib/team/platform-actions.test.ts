import { expect, it } from 'vitest';
import type { AdminTeam } from '../api/types';
import type { Principal } from '../session/principal.svelte';
import { texts } from '../texts';
import { getAnyTeamActions } from './platform-actions';

const admin: Principal = { userId: 'usr-me', teamId: null, role: null, isAdmin: true };
const team = { id: 'team-1', name: 'Lab', is_byoc: false, deleted_at: null } as AdminTeam;
const obstacles = (principal: Principal, item: AdminTeam) =>
	getAnyTeamActions(principal, item, () => undefined).map(({ obstacle }) => obstacle);

it('is for administrators of the platform, also for those who are in no team', () => {
	expect(obstacles(admin, team)).toEqual([null, null, null]);
	for (const obstacle of obstacles({ ...admin, isAdmin: false }, team)) {
		expect(obstacle).toBe(texts.permission.platform);
	}
});

it('leaves deleted teams alone', () => {
	for (const obstacle of obstacles(admin, { ...team, deleted_at: '2026-01-01T00:00:00Z' })) {
		expect(obstacle).toBe(texts.allTeams.isDeleted);
	}
});

it('asks with the thing itself', () => {
	const asked: unknown[] = [];
	for (const { run } of getAnyTeamActions(admin, team, (question) => asked.push(question))) run();
	expect(asked).toEqual([
		{ deed: 'quota', team },
		{ deed: 'byoc', team },
		{ deed: 'delete', team }
	]);
});
