/** The path to go to after signing in, carried in the `next` parameter of the login page. */

const HOME = '/dashboard/capsules/list';

/** Pages for those who are not signed in. */
const OUTSIDE = /^\/(login|forgot-password|reset-password|activate|setup|auth)(\/|$)/;

/** The address of the login page that leads back to `path`. */
export function loginPath(path: string): string {
	return path === '/' || path === '/dashboard' || path === HOME
		? '/login'
		: `/login?next=${encodeURIComponent(path)}`;
}

/** A path of this site to go to; whatever else `next` holds is ignored. */
export function nextPath(url: URL): string {
	return innerPath(url.searchParams.get('next'), url.origin);
}

/** The path that `next` names if it is a page of this site for somebody who is signed in; otherwise the first page. */
export function innerPath(next: string | null, origin: string): string {
	if (next === null || !URL.canParse(next, origin)) return HOME;
	const target = new URL(next, origin);
	if (target.origin !== origin || OUTSIDE.test(target.pathname)) return HOME;
	return target.pathname + target.search;
}
