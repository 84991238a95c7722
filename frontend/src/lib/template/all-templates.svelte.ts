/** The templates of all teams, the newest first; for admins of the platform. */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { AdminTemplate } from '../api/types';
import { events } from '../events';
import { newestFirst, PolledList } from '../polling/polled.svelte';

class AllTemplates extends PolledList<AdminTemplate> {
	constructor() {
		super();
		events.on('session:changed', () => this.forget());
		events.on('template:created', () => this.refresh());
		events.on('template:deleted', ({ id }) => this.remove(id));
	}

	protected override list(signal: AbortSignal): Promise<AdminTemplate[]> {
		return unwrap(api.GET('/v1/admin/templates', { signal }));
	}

	protected override compare(a: AdminTemplate, b: AdminTemplate): number {
		return newestFirst(a, b) || a.name.localeCompare(b.name);
	}
}

export const allTemplates = new AllTemplates();
