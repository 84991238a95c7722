/** The team's usage by day. It grows slowly, so it is loaded when somebody looks. */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { Usage } from '../api/types';
import { Loaded } from '../polling/loaded.svelte';
import { daysOf } from './measures';

class TeamUsage extends Loaded<Usage> {
	#range = 30;

	/** Shows the days of a range that ends today. */
	show(range: number): Promise<void> {
		this.#range = range;
		return this.load();
	}

	protected override ask(signal: AbortSignal): Promise<Usage> {
		const query = daysOf(this.#range, Date.now());
		return unwrap(api.GET('/v1/capsules/usage', { params: { query }, signal }));
	}
}

export const teamUsage = new TeamUsage();
