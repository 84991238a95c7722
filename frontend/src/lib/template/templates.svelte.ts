/** The templates that the team can make capsules from, its own and the platform's, newest first. */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { Template } from '../api/types';
import { events } from '../events';
import { newestFirst, newsOf, PolledList } from '../polling/polled.svelte';

class TemplateList extends PolledList<Template> {
	constructor() {
		super(newsOf('template.changed'));
		events.on('session:changed', () => this.forget());
		events.on('template:created', () => this.refresh());
		events.on('template:deleted', ({ id }) => this.remove(id));
	}

	protected override list(signal: AbortSignal): Promise<Template[]> {
		return unwrap(api.GET('/v1/snapshots', { signal }));
	}

	protected override compare(a: Template, b: Template): number {
		return newestFirst(a, b) || a.name.localeCompare(b.name);
	}
}

export const templates = new TemplateList();
