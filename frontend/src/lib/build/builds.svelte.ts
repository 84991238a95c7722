/**
 * Builds as the server last told, the newest first: those of the team, and those of all teams for the platform's
 * administrators.
 *
 * They are asked for every few seconds while one goes on, and hardly ever otherwise: events tell a team of its new builds, and
 * this dashboard of those that are begun here.
 */
import type { Build } from '../api/types';
import { events } from '../events';
import { newestFirst, newsOf, PolledList } from '../polling/polled.svelte';
import { session } from '../session/session.svelte';
import type { BuildScope } from './scope';
import { listBuilds } from './service';
import { isOpen } from './status';

/** Each comes with the ends of its logs, so a few at a time. */
const PAGE_LENGTH = 50;
/** The most that the API lists at once. */
const MOST = 1_000;
const OPEN_MS = 3_000;
const SETTLED_MS = 30_000;

class BuildList extends PolledList<Build> {
	readonly scope: BuildScope;
	#limit = $state(PAGE_LENGTH);
	/** The limit of the list that is known. */
	#listed = $state(PAGE_LENGTH);

	constructor(scope: BuildScope) {
		super(scope === 'team' ? newsOf('build.changed') : undefined);
		this.scope = scope;
		events.on('session:changed', () => {
			this.#limit = PAGE_LENGTH;
			this.#listed = PAGE_LENGTH;
			this.forget();
		});
		events.on('build:created', (build) => {
			if (scope === 'platform' || build.team_id === session.current?.team_id) this.add(build);
		});
		events.on('build:changed', (build) => this.replace(build));
	}

	/** Number of builds that have not ended. */
	get openCount(): number {
		return this.items.filter(isOpen).length;
	}

	/** True if there may be older builds than those that are known. */
	get hasOlder(): boolean {
		return this.items.length >= this.#listed && this.#listed < MOST;
	}

	/** True if older builds were asked for and are not here yet. */
	get isLoadingOlder(): boolean {
		return this.#listed < this.#limit;
	}

	/** Asks for older ones, too. */
	showOlder(): void {
		this.#limit = Math.min(this.#limit + PAGE_LENGTH, MOST);
		this.refresh();
	}

	protected override async list(signal: AbortSignal): Promise<Build[]> {
		const limit = this.#limit;
		const builds = await listBuilds(this.scope, limit, signal);
		this.#listed = limit;
		return builds;
	}

	protected override compare(a: Build, b: Build): number {
		return newestFirst(a, b) || b.id.localeCompare(a.id);
	}

	protected override isSettling(): boolean {
		return this.items.some(isOpen);
	}

	protected override intervalMs(failures: number): number {
		if (failures > 0) return super.intervalMs(failures);
		return this.isSettling() ? OPEN_MS : SETTLED_MS;
	}
}

/** A list for each scope, so that a page that is opened again shows at once what is known. */
export const builds: Readonly<Record<BuildScope, BuildList>> = {
	team: new BuildList('team'),
	platform: new BuildList('platform')
};
