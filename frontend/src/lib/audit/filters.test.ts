import { expect, it } from 'vitest';
import {
	actionsOf,
	filtersFrom,
	isActionOn,
	isFiltered,
	NO_FILTERS,
	queryOf,
	resourcesOf,
	searchOf
} from './filters';

it('keeps the filters in the address', () => {
	const filters = { ...NO_FILTERS, action: 'capsule.create', since: '2026-11-01' };
	const search = searchOf(filters);
	expect(search).toBe('?action=capsule.create&since=2026-11-01');
	expect(filtersFrom(new URLSearchParams(search))).toEqual(filters);
	expect(searchOf(NO_FILTERS)).toBe('');
	expect(isFiltered(filters)).toBe(true);
	expect(isFiltered(NO_FILTERS)).toBe(false);
});

it('does not take a day that is none', () => {
	expect(filtersFrom(new URLSearchParams('since=yesterday&until=2026-1-1'))).toEqual(NO_FILTERS);
});

it('asks for whole days of the reader, the last one to its end', () => {
	const query = queryOf({ ...NO_FILTERS, since: '2026-11-01', until: '2026-11-30' });
	expect(query).toEqual({
		since: new Date(2026, 10, 1).toISOString(),
		until: new Date(2026, 11, 1).toISOString()
	});
});

it('offers a team what its log can have, and the platform all of it', () => {
	expect(actionsOf('team', 'user')).toEqual(['user.sign_up']);
	expect(actionsOf('platform', 'user')).toContain('user.admin');
	expect(resourcesOf('team')).not.toContain('server');
	expect(actionsOf('platform', 'server')).toEqual(['settings.rotate_token_key', 'settings.set']);
	expect(actionsOf('team', '')).toContain('capsule.create');
});

it('knows which actions fit a kind of resource', () => {
	expect(isActionOn('capsule.create', 'capsule')).toBe(true);
	expect(isActionOn('capsule.create', 'user')).toBe(false);
	expect(isActionOn('settings.set', 'server')).toBe(true);
	expect(isActionOn('capsule.create', '')).toBe(true);
});
