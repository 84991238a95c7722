import { redirect } from '@sveltejs/kit';
import { session } from '$lib/managers/session.svelte';
import { nextPath } from '$lib/next-path';
import type { PageLoad } from './$types';

export const load: PageLoad = ({ url }) => {
	const next = nextPath(url);
	if (session.current) redirect(307, next);
	return { next };
};
