/** The measurements of one capsule over a range, kept up to date while they are looked at. */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { CapsuleMetrics, MetricsRange } from '../api/types';
import { Ranged } from './ranged.svelte';
import { METRICS_INTERVALS_MS, rangeParam } from './ranges';

export const USUAL_METRICS_RANGE: MetricsRange = '10m';

export class Metrics extends Ranged<MetricsRange, CapsuleMetrics> {
	readonly #id: string;

	constructor(id: string) {
		super({
			range: USUAL_METRICS_RANGE,
			intervalsMs: METRICS_INTERVALS_MS,
			concerns: ({ resource_id }) => resource_id === id
		});
		this.#id = id;
	}

	protected override ask(range: MetricsRange, signal: AbortSignal): Promise<CapsuleMetrics> {
		const params = { path: { id: this.#id }, query: { range: rangeParam(range) } };
		return unwrap(api.GET('/v1/capsules/{id}/metrics', { params, signal }));
	}
}
