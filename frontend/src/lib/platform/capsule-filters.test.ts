import { expect, it } from 'vitest';
import { choicesOf, filterCapsules, filtersFrom, NO_FILTERS, searchOf } from './capsule-filters';
import { adminCapsule } from './testing';

const items = [
	adminCapsule(),
	adminCapsule({ id: 'cl-2', team_id: 'team-2', team_name: 'Gulls', status: 'paused' }),
	adminCapsule({ id: 'cl-3', host_id: 'host-2', template: 'python' })
];
const found = (change: Partial<typeof NO_FILTERS>) =>
	filterCapsules(items, { ...NO_FILTERS, ...change }).map(({ id }) => id);

it('keeps the filters in the address', () => {
	const filters = {
		text: 'a b',
		status: 'paused',
		team: 'team-1',
		host: 'host-1',
		page: 2
	} as const;
	expect(searchOf(filters)).toBe('?q=a+b&status=paused&team=team-1&host=host-1&page=2');
	expect(filtersFrom(new URLSearchParams(searchOf(filters)))).toEqual(filters);
	expect(searchOf(NO_FILTERS)).toBe('');
	expect(filtersFrom(new URLSearchParams('status=flying&page=-3'))).toEqual(NO_FILTERS);
});

it('finds by text, status, team and host', () => {
	expect(found({})).toEqual(['cl-1', 'cl-2', 'cl-3']);
	expect(found({ text: ' gull' })).toEqual(['cl-2']);
	expect(found({ text: 'PYTHON' })).toEqual(['cl-3']);
	expect(found({ text: 'host-2' })).toEqual(['cl-3']);
	expect(found({ status: 'paused' })).toEqual(['cl-2']);
	expect(found({ team: 'team-1', host: 'host-1' })).toEqual(['cl-1']);
});

it('offers the teams and hosts that there are, and what is chosen', () => {
	expect(choicesOf(items, NO_FILTERS)).toEqual({
		teams: [
			{ id: 'team-2', name: 'Gulls' },
			{ id: 'team-1', name: 'Kites' }
		],
		hosts: [
			{ id: 'host-1', name: 'host-1' },
			{ id: 'host-2', name: 'host-2' }
		]
	});
	const gone = choicesOf([], { ...NO_FILTERS, team: 'team-9', host: 'host-9' });
	expect(gone.teams).toEqual([{ id: 'team-9', name: 'team-9' }]);
	expect(gone.hosts).toEqual([{ id: 'host-9', name: 'host-9' }]);
});
