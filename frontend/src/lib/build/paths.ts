/** Addresses of the pages of builds and templates: a team's own, and those of the administration. */
import { resolve } from '$app/paths';
import type { BuildScope } from './scope';

interface Pages {
	templates: string;
	builds: string;
	newBuild: string;
	build: (id: string) => string;
	/** The form for a new build, filled in as that one was. */
	again: (id: string) => string;
}

const fromBuild = (form: string, id: string) => `${form}?${new URLSearchParams({ from: id })}`;

export const pages: Readonly<Record<BuildScope, Pages>> = {
	team: {
		templates: resolve('/dashboard/templates'),
		builds: resolve('/dashboard/templates/builds'),
		newBuild: resolve('/dashboard/templates/builds/new'),
		build: (id) => resolve('/(app)/dashboard/templates/builds/[id]', { id }),
		again: (id) => fromBuild(resolve('/dashboard/templates/builds/new'), id)
	},
	platform: {
		templates: resolve('/admin/templates'),
		builds: resolve('/admin/templates/builds'),
		newBuild: resolve('/admin/templates/builds/new'),
		build: (id) => resolve('/(app)/admin/templates/builds/[id]', { id }),
		again: (id) => fromBuild(resolve('/admin/templates/builds/new'), id)
	}
};
