/** Where to go after signing in, carried in the `next` parameter of the login page. */

const HOME = '/dashboard/capsules/list';

/** The address of the login page that leads back to `path`. */
export function loginPath(path: string): string {
	return path === '/' || path === '/dashboard' || path === HOME
		? '/login'
		: `/login?next=${encodeURIComponent(path)}`;
}

/** A path of this site to go to; whatever else `next` holds is ignored. */
export function nextPath(url: URL): string {
	const next = url.searchParams.get('next');
	if (next === null) return HOME;
	const target = new URL(next, url.origin);
	if (target.origin !== url.origin || target.pathname.startsWith('/login')) return HOME;
	return target.pathname + target.search;
}
