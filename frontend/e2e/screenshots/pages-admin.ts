/** Pages of the administrators of the platform. There is always something of it, so its lists are emptied on their way. */
import type { Picture } from './pages';

const ADMIN = { viewer: 'administrator', isEmptied: true } as const;

export const ADMIN_PAGES: readonly Picture[] = [
	{
		...ADMIN,
		route: '/(app)/admin/templates',
		name: 'admin-templates',
		path: () => '/admin/templates'
	},
	{
		...ADMIN,
		route: '/(app)/admin/templates/builds',
		name: 'admin-builds',
		path: () => '/admin/templates/builds'
	},
	{
		...ADMIN,
		route: '/(app)/admin/templates/builds/[id]',
		name: 'admin-build',
		path: ({ build }) => `/admin/templates/builds/${build}`,
		states: ['filled', 'loading', 'error']
	},
	{
		...ADMIN,
		route: '/(app)/admin/templates/builds/new',
		name: 'admin-build-new',
		path: () => '/admin/templates/builds/new',
		states: ['filled']
	},
	{ ...ADMIN, route: '/(app)/admin/hosts', name: 'admin-hosts', path: () => '/admin/hosts' },
	{ ...ADMIN, route: '/(app)/admin/teams', name: 'admin-teams', path: () => '/admin/teams' },
	{ ...ADMIN, route: '/(app)/admin/users', name: 'admin-users', path: () => '/admin/users' },
	{
		...ADMIN,
		route: '/(app)/admin/capsules',
		name: 'admin-capsules',
		path: () => '/admin/capsules'
	},
	{ ...ADMIN, route: '/(app)/admin/audit', name: 'admin-audit', path: () => '/admin/audit' },
	{
		...ADMIN,
		route: '/(app)/admin/settings',
		name: 'admin-settings',
		path: () => '/admin/settings',
		states: ['filled', 'loading', 'error']
	}
];
