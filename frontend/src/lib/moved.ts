/** Addresses that pages had before, and short ones for sections that open with one of their pages. */

const MOVED: readonly (readonly [RegExp, string])[] = [
	[/^\/dashboard(\/capsules)?$/, '/dashboard/capsules/list'],
	[/^\/dashboard\/members$/, '/dashboard/team'],
	[/^\/dashboard\/snapshots$/, '/dashboard/templates'],
	[/^\/admin$/, '/admin/templates'],
	[/^\/capsules$/, '/dashboard/capsules/list'],
	[/^\/capsules\/([^/]+)(\/(?:terminal|files|processes|preview))?$/, '/dashboard/capsules/$1$2'],
	[/^\/templates$/, '/dashboard/templates'],
	[/^\/templates\/all$/, '/admin/templates'],
	[/^\/builds$/, '/admin/templates/builds'],
	[/^\/builds\/([^/]+)$/, '/admin/templates/builds/$1'],
	[/^\/keys$/, '/dashboard/keys']
];

/** Returns the present address of a page that had this one, query included; null if there never was one. */
export function movedTo({ pathname, search }: Pick<URL, 'pathname' | 'search'>): string | null {
	const path = pathname.replace(/(?<=.)\/+$/, '');
	const entry = MOVED.find(([pattern]) => pattern.test(path));
	return entry ? path.replace(...entry) + search : null;
}
