import { error, redirect } from '@sveltejs/kit';
import { movedTo } from '$lib/moved';
import type { PageLoad } from './$types';

/** Every address without a page: that of an older version leads on. */
export const load: PageLoad = ({ url }) => {
	const target = movedTo(url);
	if (target === null) error(404, 'There is no such page.');
	redirect(307, target);
};
