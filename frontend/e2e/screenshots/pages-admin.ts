/** Pages of the administrators of the platform. There is always something of it, so its lists are emptied on their way. */
import type { Page } from '@playwright/test';
import type { Overlay, Picture } from './pages';

/** Finds a row, then presses a button of it, or chooses it from the menu of the row. */
async function choose(page: Page, thing: string, action: string): Promise<void> {
	// Others may have made many since.
	await page.getByRole('searchbox').fill(thing);
	await page.getByRole('row').filter({ hasText: thing }).first().waitFor();
	const button = page.getByRole('button', { name: action }).first();
	if (!(await button.isVisible())) {
		await page
			.getByRole('button', { name: `More for ${thing}` })
			.first()
			.click();
	}
	await button
		.or(page.getByRole('menuitem', { name: action }))
		.first()
		.click();
}

const TEAM = 'Marsh Lane';
const USER = 'Robin Castellanos-Whitmore the Younger';

const ofTeam = (name: string, action: string): Overlay => ({
	name,
	open: (page) => choose(page, TEAM, action)
});
const ofUser = (name: string, action: string): Overlay => ({
	name,
	open: (page) => choose(page, USER, action)
});

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
	{
		...ADMIN,
		route: '/(app)/admin/hosts',
		name: 'admin-hosts',
		path: () => '/admin/hosts',
		overlays: [
			{
				name: 'create',
				open: (page) => page.getByRole('button', { name: 'Create host' }).click()
			},
			{
				name: 'tags',
				open: (page) =>
					page
						.getByRole('button', { name: /^Change the tags/ })
						.first()
						.click()
			},
			{
				name: 'delete',
				open: (page) =>
					page
						.getByRole('button', { name: /^Delete host-/ })
						.first()
						.click()
			}
		]
	},
	{
		...ADMIN,
		route: '/(app)/admin/hosts',
		name: 'admin-hosts-byoc',
		path: () => '/admin/hosts?kind=byoc'
	},
	{
		...ADMIN,
		route: '/(app)/admin/teams',
		name: 'admin-teams',
		path: () => '/admin/teams',
		overlays: [
			ofTeam('limits', `Limits of ${TEAM}`),
			ofTeam('byoc', `Allow ${TEAM} to bring hosts`),
			ofTeam('delete', `Delete ${TEAM}`)
		]
	},
	{
		...ADMIN,
		route: '/(app)/admin/users',
		name: 'admin-users',
		path: () => '/admin/users',
		overlays: [
			ofUser('switch-off', `Switch off ${USER}`),
			ofUser('make-admin', `Make ${USER} an administrator`),
			ofUser('reset-link', `Make a link for a new password of ${USER}`)
		]
	},
	{
		...ADMIN,
		route: '/(app)/admin/capsules',
		name: 'admin-capsules',
		path: () => '/admin/capsules'
	},
	{
		...ADMIN,
		route: '/(app)/admin/audit',
		name: 'admin-audit',
		path: () => '/admin/audit',
		overlays: [
			{
				name: 'export',
				open: (page) => page.getByRole('button', { name: 'More for the export' }).click()
			}
		]
	},
	{
		...ADMIN,
		route: '/(app)/admin/settings',
		name: 'admin-settings',
		path: () => '/admin/settings',
		states: ['filled', 'loading', 'error'],
		overlays: [
			{
				name: 'token-key',
				open: (page) => page.getByRole('button', { name: 'New key' }).click()
			}
		]
	}
];
