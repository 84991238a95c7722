/** Names of the teams, by their ids; for administrators of the platform. */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import { events } from '../events';
import { Polled } from '../polling/polled.svelte';

/** Names hardly ever change. */
const INTERVAL_MS = 60_000;

class TeamNames extends Polled<Readonly<Record<string, string>>> {
	constructor() {
		super();
		events.on('session:changed', () => this.forget());
	}

	/** Null where it is not known, and for the platform, which is no team. */
	of(teamId: string): string | null {
		return this.value?.[teamId] ?? null;
	}

	protected override async ask(signal: AbortSignal): Promise<Record<string, string>> {
		const teams = await unwrap(api.GET('/v1/admin/teams', { signal }));
		return Object.fromEntries(teams.map(({ id, name }) => [id, name]));
	}

	protected override intervalMs(failures: number): number {
		return failures > 0 ? super.intervalMs(failures) : INTERVAL_MS;
	}
}

export const teamNames = new TeamNames();
