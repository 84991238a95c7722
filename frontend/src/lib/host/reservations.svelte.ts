/** The resources that the capsules of all teams hold, by the host; for administrators of the platform. */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import { events } from '../events';
import { Polled } from '../polling/polled.svelte';
import { reservedByHost, type Reserved } from './reserved';

/** The answer has every capsule, so it is not asked for as often as the hosts are. */
const INTERVAL_MS = 15_000;

class Reservations extends Polled<ReadonlyMap<string, Reserved>> {
	constructor() {
		super();
		events.on('session:changed', () => this.forget());
		events.on('host:changed', () => this.refresh());
	}

	protected override async ask(signal: AbortSignal): Promise<ReadonlyMap<string, Reserved>> {
		return reservedByHost(await unwrap(api.GET('/v1/admin/capsules', { signal })));
	}

	/** Maps have no fields that could be compared. */
	protected override merge(
		_previous: ReadonlyMap<string, Reserved>,
		next: ReadonlyMap<string, Reserved>
	): ReadonlyMap<string, Reserved> {
		return next;
	}

	protected override intervalMs(failures: number): number {
		return failures > 0 ? super.intervalMs(failures) : INTERVAL_MS;
	}
}

export const reservations = new Reservations();
