/** Pages of somebody who works for a team. */
import type { Page } from '@playwright/test';
import { row } from '../dashboard';
import type { Overlay, Picture } from './pages';
import type { World } from './world';

/** Programs start slowly in emulated machines. */
const PATIENCE = { timeout: 60_000 };

const press = (page: Page, name: string | RegExp) => page.getByRole('button', { name }).click();
const shown = (page: Page, text: string | RegExp) => page.getByText(text).first().waitFor(PATIENCE);

/** The dialog that a button of this name opens. */
const behind = (name: string, button: string | RegExp): Overlay => ({
	name,
	open: (page) => press(page, button)
});

const capsule = ({ running }: World) => `/dashboard/capsules/${running}`;
const paused = (world: World) => `/dashboard/capsules/${world.paused}`;
/** The capsule itself is known; what its tab shows is not. */
const TAB = {
	viewer: 'owner',
	letThrough: /\/v1\/(capsules\/[^/?]+$|teams|me)/
} as const;

/** The things that can be opened from every page. */
const SHELL: readonly Overlay[] = [
	{ name: 'palette', open: (page) => page.keyboard.press('Control+k') },
	{ name: 'menu', only: 'phone', open: (page) => press(page, 'Menu') },
	{ name: 'teams', only: 'desk', open: (page) => press(page, /^Team:/) },
	{ name: 'account', only: 'desk', open: (page) => press(page, 'Account') },
	{
		name: 'create-team',
		only: 'desk',
		open: async (page) => {
			await press(page, /^Team:/);
			await page.getByRole('menuitem', { name: 'Create team' }).click();
		}
	}
];

export const TEAM_PAGES: readonly Picture[] = [
	{
		route: '/(app)/dashboard/capsules/(overview)/list',
		name: 'capsules',
		path: () => '/dashboard/capsules/list',
		viewer: 'owner',
		fill: (page) => shown(page, 'paused'),
		overlays: [
			...SHELL,
			behind('create', 'Create capsule'),
			{
				name: 'template',
				open: (page, { running }) => press(page, `Make a template of ${running}`)
			},
			{ name: 'destroy', open: (page, { running }) => press(page, `Destroy ${running}`) },
			{
				name: 'destroy-many',
				open: async (page) => {
					await page.getByRole('checkbox', { name: 'Select all' }).check();
					await page.getByRole('group').getByRole('button', { name: 'Destroy' }).click();
				}
			}
		]
	},
	{
		route: '/(app)/dashboard/capsules/(overview)/stats',
		name: 'stats',
		path: () => '/dashboard/capsules/stats',
		viewer: 'owner',
		fill: (page) => shown(page, /^Last /)
	},
	{
		route: '/(app)/dashboard/capsules/[id]',
		name: 'capsule',
		path: capsule,
		viewer: 'owner',
		emptyPath: paused,
		fill: async (page) => {
			await shown(page, /^Last /);
			await shown(page, 'As the capsule sees itself');
		},
		overlays: [behind('destroy', 'Destroy'), behind('template', 'Make a template')]
	},
	{
		route: '/(app)/dashboard/capsules/[id]',
		name: 'capsule-gone',
		path: () => '/dashboard/capsules/cl-0000000000000000000000001',
		viewer: 'newcomer',
		states: ['empty']
	},
	{
		...TAB,
		route: '/(app)/dashboard/capsules/[id]/terminal',
		name: 'terminal',
		path: (world) => `${capsule(world)}/terminal`,
		emptyPath: (world) => `${paused(world)}/terminal`,
		states: ['filled', 'empty'],
		fill: async (page) => {
			// A terminal opens by itself, unless others run already, such as those of the picture before.
			const status = page.getByTestId('terminal-status');
			const none = page.getByText('No terminal is open here.');
			await status.or(none).waitFor(PATIENCE);
			if (await none.isVisible()) {
				await page.getByRole('button', { name: 'New terminal', exact: true }).last().click();
			}
			await status.getByText('connected').waitFor(PATIENCE);
		}
	},
	{
		...TAB,
		route: '/(app)/dashboard/capsules/[id]/files',
		name: 'files',
		path: (world) => `${capsule(world)}/files?path=/root`,
		emptyPath: (world) => `${paused(world)}/files`,
		fill: async (page) => {
			await page.getByRole('treeitem', { name: /notes\.txt/ }).click(PATIENCE);
			await shown(page, 'and it is loud.');
		},
		overlays: [behind('new-file', 'New file'), behind('new-folder', 'New folder')]
	},
	{
		...TAB,
		route: '/(app)/dashboard/capsules/[id]/processes',
		name: 'processes',
		path: (world) => `${capsule(world)}/processes`,
		emptyPath: (world) => `${paused(world)}/processes`,
		fill: (page) => row(page, 'sleep 5').waitFor(PATIENCE)
	},
	{
		...TAB,
		route: '/(app)/dashboard/capsules/[id]/preview',
		name: 'preview',
		path: (world) => `${capsule(world)}/preview`,
		states: ['filled']
	},
	{
		...TAB,
		route: '/(app)/dashboard/capsules/[id]/commands',
		name: 'commands',
		path: (world) => `${capsule(world)}/commands`,
		emptyPath: (world) => `${paused(world)}/commands`,
		states: ['filled', 'empty'],
		fill: async (page) => {
			const input = page.getByRole('textbox', { name: 'Command' });
			await input.fill('uname -a; ls -l /root; ls /no/such/folder');
			await input.press('Enter');
			await page.getByText(/^exit \d+$/).waitFor(PATIENCE);
		}
	},
	{
		route: '/(app)/dashboard/templates',
		name: 'templates',
		path: () => '/dashboard/templates',
		viewer: 'owner',
		fill: (page) => shown(page, 'reed-warbler'),
		overlays: [
			{
				name: 'use',
				open: (page) =>
					row(page, 'reed-warbler')
						.getByRole('button', { name: /^Create a capsule/ })
						.click()
			},
			{
				name: 'delete',
				open: async (page) => {
					await press(page, 'More for reed-warbler');
					await page.getByRole('menuitem', { name: 'Delete reed-warbler' }).click();
				}
			}
		]
	},
	{
		route: '/(app)/dashboard/templates/builds',
		name: 'builds',
		path: () => '/dashboard/templates/builds',
		viewer: 'owner',
		fill: (page) => shown(page, 'broken-wing')
	},
	{
		route: '/(app)/dashboard/templates/builds/[id]',
		name: 'build',
		path: ({ build }) => `/dashboard/templates/builds/${build}`,
		viewer: 'owner',
		states: ['filled', 'loading', 'error'],
		fill: (page) => shown(page, 'reed-warbler')
	},
	{
		route: '/(app)/dashboard/templates/builds/[id]',
		name: 'build-failed',
		path: ({ failedBuild }) => `/dashboard/templates/builds/${failedBuild}`,
		viewer: 'owner',
		states: ['filled'],
		fill: (page) => shown(page, 'broken-wing')
	},
	{
		route: '/(app)/dashboard/templates/builds/new',
		name: 'build-new',
		path: () => '/dashboard/templates/builds/new',
		viewer: 'owner',
		states: ['filled', 'error'],
		fill: async (page) => {
			await page.getByLabel('Name of the template').fill('reed-warbler');
			await page
				.getByRole('textbox', { name: 'Recipe' })
				.fill('# A recipe\nRUN echo hello\nENV GREETING=good-day');
		}
	},
	{
		route: '/(app)/dashboard/usage',
		name: 'usage',
		path: () => '/dashboard/usage',
		viewer: 'owner'
	},
	{
		route: '/(app)/dashboard/team',
		name: 'team',
		path: () => '/dashboard/team',
		viewer: 'owner',
		fill: async (page, { invitation }) => {
			await shown(page, invitation);
		},
		overlays: [
			behind('add', 'Add somebody'),
			behind('delete', 'Delete team'),
			{
				name: 'remove',
				open: (page, { member }) => press(page, `Remove ${member}`)
			},
			{
				name: 'revoke',
				open: (page, { invitation }) => press(page, `Revoke the invitation of ${invitation}`)
			}
		]
	},
	{
		route: '/(app)/dashboard/keys',
		name: 'keys',
		path: () => '/dashboard/keys',
		viewer: 'owner',
		fill: (page, { key }) => shown(page, key),
		overlays: [
			behind('create', 'Create key'),
			{ name: 'delete', open: (page, { key }) => press(page, `Delete ${key}`) }
		]
	},
	{
		route: '/(app)/dashboard/channels',
		name: 'channels',
		path: () => '/dashboard/channels',
		viewer: 'owner',
		fill: (page, { channel }) => shown(page, channel),
		overlays: [
			behind('create', 'Create channel'),
			{ name: 'edit', open: (page, { channel }) => press(page, `Edit ${channel}`) },
			{
				name: 'configure',
				open: (page, { channel }) => press(page, `Replace the configuration of ${channel}`)
			},
			{ name: 'delete', open: (page, { channel }) => press(page, `Delete ${channel}`) }
		]
	},
	{
		route: '/(app)/dashboard/audit',
		name: 'audit',
		path: () => '/dashboard/audit',
		viewer: 'owner',
		isEmptied: true
	},
	{
		route: '/(app)/dashboard/byoc',
		name: 'byoc',
		path: () => '/dashboard/byoc',
		viewer: 'bringer',
		isEmptied: true,
		fill: (page) => row(page, 'pending').waitFor(PATIENCE),
		overlays: [
			behind('create', 'Create host'),
			{ name: 'delete', open: (page, { host }) => press(page, `Delete ${host}`) }
		]
	},
	{
		route: '/(app)/dashboard/settings',
		name: 'settings',
		path: () => '/dashboard/settings',
		viewer: 'owner',
		states: ['filled', 'loading', 'error'],
		overlays: [behind('second-factor', 'Turn on'), behind('delete-account', 'Delete')]
	}
];
