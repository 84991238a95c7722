/** The number of the team's capsules that run and what they reserve, over a range. */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { CapsuleStats, StatsRange } from '../api/types';
import { events } from '../events';
import { newsOf } from '../polling/polled.svelte';
import { Ranged } from './ranged.svelte';
import { rangeParam, STATS_INTERVALS_MS } from './ranges';

export const USUAL_STATS_RANGE: StatsRange = '1h';

class TeamStats extends Ranged<StatsRange, CapsuleStats> {
	constructor() {
		super({
			range: USUAL_STATS_RANGE,
			intervalsMs: STATS_INTERVALS_MS,
			concerns: newsOf('capsule.changed')
		});
		events.on('session:changed', () => this.forget());
	}

	protected override ask(range: StatsRange, signal: AbortSignal): Promise<CapsuleStats> {
		const params = { query: { range: rangeParam(range) } };
		return unwrap(api.GET('/v1/capsules/stats', { params, signal }));
	}
}

export const teamStats = new TeamStats();
