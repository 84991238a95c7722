import { expect, it } from 'vitest';
import type { AdminTeam } from '../api/types';
import { find, newest, type Query } from '../components/find';
import { FIND_TEAMS, type TeamKind, type TeamSortKey } from './find-teams';

const NO_LIMITS = {
	running_capsules: null,
	vcpus: null,
	memory_mb: null,
	disk_mb: null,
	templates: null,
	paused_capsules: null,
	concurrent_builds: null
};
const team = (id: string, over: Partial<AdminTeam> = {}): AdminTeam => ({
	id,
	name: `Team ${id}`,
	slug: `slug-${id}`,
	is_byoc: false,
	created_at: '2026-01-01T00:00:00Z',
	deleted_at: null,
	owner_id: 'usr-ada',
	owner_name: 'Ada',
	owner_email: 'ada@example.org',
	member_count: 1,
	running_capsules: 0,
	quota: NO_LIMITS,
	...over
});
const lab = team('lab', { member_count: 3, quota: { ...NO_LIMITS, vcpus: 0 } });
const yard = team('yard', { is_byoc: true, running_capsules: 2 });
const old = team('old', { deleted_at: '2026-02-01T00:00:00Z', owner_id: null, owner_name: null });
const idsOf = (query: Partial<Query<TeamKind, TeamSortKey>>) =>
	find(
		[lab, yard, { ...old, owner_email: null, is_byoc: true }],
		{ ...newest<TeamKind, TeamSortKey>(), ...query },
		FIND_TEAMS
	).map(({ id }) => id);

it('finds by name, slug and owner, also where there is none', () => {
	expect(idsOf({})).toEqual(['lab', 'yard', 'old']);
	expect(idsOf({ text: 'SLUG-Y' })).toEqual(['yard']);
	expect(idsOf({ text: 'ada@' })).toEqual(['lab', 'yard']);
	expect(idsOf({ text: 'team old' })).toEqual(['old']);
});

it('finds kinds of teams; those that are deleted are of no other kind', () => {
	expect(idsOf({ kind: 'present' })).toEqual(['lab', 'yard']);
	expect(idsOf({ kind: 'byoc' })).toEqual(['yard']);
	expect(idsOf({ kind: 'limited' })).toEqual(['lab']);
	expect(idsOf({ kind: 'deleted' })).toEqual(['old']);
});

it('sorts by numbers, the largest first', () => {
	expect(idsOf({ order: { key: 'members', isDescending: false } })).toEqual(['lab', 'yard', 'old']);
	expect(idsOf({ order: { key: 'running', isDescending: false } })[0]).toBe('yard');
	expect(idsOf({ order: { key: 'name', isDescending: true } })).toEqual(['yard', 'old', 'lab']);
});
