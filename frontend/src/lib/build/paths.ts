/** Addresses of the pages of builds. */
import { resolve } from '$app/paths';

/** The form for a new build, filled in as that one was. */
export function againPath(id: string): string {
	return `${resolve('/admin/templates/builds/new')}?${new URLSearchParams({ from: id })}`;
}
