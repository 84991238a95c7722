import { redirect } from '@sveltejs/kit';
import { session } from '../../lib/session/session.svelte';
import { nextPath } from '../../lib/session/next-path';
import type { PageLoad } from './$types';

export const load: PageLoad = ({ url }) => {
	const next = nextPath(url);
	if (session.current) redirect(307, next);
	return { next };
};
