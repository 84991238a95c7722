import { redirect } from '@sveltejs/kit';
import { session } from '../../lib/session/session.svelte';
import { loginPath } from '../../lib/session/next-path';
import type { LayoutLoad } from './$types';

export const load: LayoutLoad = ({ url }) => {
	if (!session.current) redirect(307, loginPath(url.pathname + url.search));
};
