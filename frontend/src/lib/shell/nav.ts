/** The pages that the sidebar names, and who sees them. */
import ArrowLeft from '@lucide/svelte/icons/arrow-left';
import Bell from '@lucide/svelte/icons/bell';
import Box from '@lucide/svelte/icons/box';
import ChartColumn from '@lucide/svelte/icons/chart-column';
import KeyRound from '@lucide/svelte/icons/key-round';
import Layers from '@lucide/svelte/icons/layers';
import ScrollText from '@lucide/svelte/icons/scroll-text';
import Server from '@lucide/svelte/icons/server';
import Settings from '@lucide/svelte/icons/settings-2';
import Shield from '@lucide/svelte/icons/shield';
import UserRound from '@lucide/svelte/icons/user-round';
import Users from '@lucide/svelte/icons/users';
import type { Component } from 'svelte';
import { resolve } from '$app/paths';
import type { Team } from '../api/types';
import { managingObstacle } from '../host/actions';
import type { Principal } from '../session/principal.svelte';
import { texts } from '../texts';

export interface NavItem {
	id: string;
	text: string;
	/** Resolved. */
	href: string;
	/** The beginning of the addresses that belong to it. */
	section: string;
	icon: Component<{ class?: string }>;
	/** Why it cannot be opened; null if it can. */
	obstacle: string | null;
}

export interface NavGroup {
	title: string;
	items: readonly NavItem[];
}

const { pages, groups } = texts.shell;

const ADMIN_SECTION = '/admin';

const item = (
	id: string,
	text: string,
	href: string,
	icon: NavItem['icon'],
	obstacle: string | null = null,
	section = href
): NavItem => ({ id, text, href, section, icon, obstacle });

/** The entries for somebody, in the team that they act for (null while it is not known, and without one). */
export function navigation(principal: Principal, team: Team | null): readonly NavGroup[] {
	const listHref = resolve('/dashboard/capsules/list');
	return [
		{
			title: groups.work,
			items: [
				item('capsules', pages.capsules, listHref, Box, null, '/dashboard/capsules'),
				item('templates', pages.templates, resolve('/dashboard/templates'), Layers),
				item('usage', pages.usage, resolve('/dashboard/usage'), ChartColumn)
			]
		},
		{
			title: groups.team,
			items: [
				item('team', pages.team, resolve('/dashboard/team'), Users),
				item('keys', pages.keys, resolve('/dashboard/keys'), KeyRound),
				item('channels', pages.channels, resolve('/dashboard/channels'), Bell),
				item('audit', pages.audit, resolve('/dashboard/audit'), ScrollText),
				...(team?.is_byoc
					? [
							item(
								'byoc',
								pages.byoc,
								resolve('/dashboard/byoc'),
								Server,
								managingObstacle(principal) === null ? null : texts.shell.byocForAdmins
							)
						]
					: []),
				item('settings', pages.settings, resolve('/dashboard/settings'), Settings)
			]
		}
	];
}

/** The way into the administration of the platform; null for everybody else. */
export function adminEntry(principal: Principal): NavItem | null {
	if (!principal.isAdmin) return null;
	return item('admin', pages.admin, resolve('/admin/templates'), Shield, null, ADMIN_SECTION);
}

/** The entries of the administration; none for those who are not administrators of the platform. */
export function adminNavigation(principal: Principal): readonly NavItem[] {
	if (!principal.isAdmin) return [];
	return [
		item('admin-templates', pages.templates, resolve('/admin/templates'), Layers),
		item('admin-hosts', pages.hosts, resolve('/admin/hosts'), Server),
		item('admin-teams', pages.teams, resolve('/admin/teams'), Users),
		item('admin-users', pages.users, resolve('/admin/users'), UserRound),
		item('admin-capsules', pages.capsules, resolve('/admin/capsules'), Box),
		item('admin-audit', pages.audit, resolve('/admin/audit'), ScrollText),
		item('admin-settings', pages.settings, resolve('/admin/settings'), Settings)
	];
}

/** The way back from the administration. */
export function dashboardEntry(): NavItem {
	return item('dashboard', pages.dashboard, resolve('/dashboard/capsules/list'), ArrowLeft);
}

/** Returns true if the page at `pathname` belongs to an entry. */
export function isCurrent({ section }: Pick<NavItem, 'section'>, pathname: string): boolean {
	return pathname === section || pathname.startsWith(`${section}/`);
}

/** Returns true for the pages of the administration, which have a sidebar of their own. */
export function isAdminPage(pathname: string): boolean {
	return isCurrent({ section: ADMIN_SECTION }, pathname);
}
