/** The builds of all teams, the newest first; for the platform's admins. */
import type { Build } from '../api/types';
import { isOpen } from './status';
import { events } from '../events';
import { newestFirst, PolledList } from '../polling/polled.svelte';
import { listBuilds } from './service';

class BuildList extends PolledList<Build> {
	constructor() {
		super();
		events.on('session:changed', () => this.forget());
		events.on('build:created', (build) => this.add(build));
		events.on('build:changed', (build) => this.replace(build));
	}

	protected override list(signal: AbortSignal): Promise<Build[]> {
		return listBuilds(signal);
	}

	protected override compare(a: Build, b: Build): number {
		return newestFirst(a, b) || b.id.localeCompare(a.id);
	}

	protected override isSettling(): boolean {
		return this.items.some(isOpen);
	}
}

export const builds = new BuildList();
