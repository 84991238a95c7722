import { expect, it } from 'vitest';
import type { Team, TeamRole } from '../api/types';
import { texts } from '../texts';
import { adminEntry, adminNavigation, isAdminPage, isCurrent, navigation } from './nav';

const principal = (role: TeamRole) => ({ userId: 'usr-1', teamId: 'team-1', role, isAdmin: false });
const team = (role: TeamRole, is_byoc: boolean): Team => ({
	...{ id: 'team-1', name: 'Ours', slug: 'ours', created_at: '2026-01-01T00:00:00Z' },
	role,
	is_byoc
});
const entry = (role: TeamRole, is_byoc: boolean) =>
	navigation(principal(role), team(role, is_byoc))
		.flatMap(({ items }) => items)
		.find(({ id }) => id === 'byoc');

it('shows hosts only where the team brings some, and opens them for its admins', () => {
	expect(entry('owner', false)).toBeUndefined();
	expect(navigation(principal('owner'), null).flatMap(({ items }) => items)).not.toHaveLength(0);
	expect(entry('owner', true)?.obstacle).toBeNull();
	expect(entry('admin', true)?.obstacle).toBeNull();
	expect(entry('member', true)?.obstacle).toBe(texts.shell.byocForAdmins);
});

it('shows the administration to administrators of the platform alone', () => {
	expect(adminEntry(principal('owner'))).toBeNull();
	expect(adminNavigation(principal('owner'))).toEqual([]);
	expect(adminEntry({ ...principal('member'), isAdmin: true })?.obstacle).toBeNull();
});

it('knows the pages of a section, and not those with a longer name', () => {
	const capsules = { section: '/dashboard/capsules' };
	expect(isCurrent(capsules, '/dashboard/capsules')).toBe(true);
	expect(isCurrent(capsules, '/dashboard/capsules/cl-1/files')).toBe(true);
	expect(isCurrent(capsules, '/dashboard/capsules-2')).toBe(false);
});

it('opens each page of the administration below its own section', () => {
	const items = adminNavigation({ ...principal('member'), isAdmin: true });
	expect(items.map(({ href }) => href)).toEqual(
		['templates', 'hosts', 'teams', 'users', 'capsules', 'audit', 'settings'].map(
			(name) => `/admin/${name}`
		)
	);
	expect(items.every(({ href }) => isAdminPage(href))).toBe(true);
	expect(isAdminPage('/administrators')).toBe(false);
});
