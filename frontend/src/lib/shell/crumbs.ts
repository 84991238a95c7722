/** The way to a page, as its header shows it: what the parts of its address are called. */
import { texts } from '../texts';

export interface Crumb {
	text: string;
	/** Null for where one is. */
	href: string | null;
	/** True for the id of something. */
	isId: boolean;
}

const { pages } = texts.shell;

const NAMES: Record<string, string> = {
	capsules: pages.capsules,
	list: pages.list,
	stats: pages.stats,
	templates: pages.templates,
	builds: pages.builds,
	new: pages.newBuild,
	usage: pages.usage,
	team: pages.team,
	keys: pages.keys,
	channels: pages.channels,
	audit: pages.audit,
	byoc: pages.byoc,
	settings: pages.settings,
	hosts: pages.hosts,
	teams: pages.teams,
	users: pages.users,
	admin: pages.admin,
	terminal: pages.terminal,
	files: pages.files,
	processes: pages.processes,
	preview: pages.preview,
	commands: pages.commands
};

/** @param path of the page; what is before the dashboard is not part of the way */
export function crumbsOf(path: string): Crumb[] {
	const parts = path.split('/').filter((part) => part !== '');
	if (parts[0] === 'dashboard') parts.shift();
	const base = path.startsWith('/dashboard') ? '/dashboard' : '';
	return parts.map((part, at) => {
		const name = NAMES[part];
		const isLast = at === parts.length - 1;
		const href = isLast ? null : `${base}/${parts.slice(0, at + 1).join('/')}`;
		return { text: name ?? decodeURIComponent(part), href, isId: name === undefined };
	});
}
