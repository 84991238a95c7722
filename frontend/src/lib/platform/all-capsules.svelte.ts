/**
 * The capsules of all teams, newest first; for administrators of the platform.
 *
 * The whole list is asked for, so that all of it can be searched; the server ends it at some length, and says so.
 */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { AdminCapsule } from '../api/types';
import { isSettling } from '../capsule/status';
import { events } from '../events';
import { newestFirst, PolledList } from '../polling/polled.svelte';

/** No news tell an administrator of other teams' capsules. */
const SETTLING_MS = 5_000;
const SETTLED_MS = 10_000;
/** A list of this length is not worth being asked for often. */
const LONG = 1_000;
const LONG_MS = 30_000;

class AllCapsules extends PolledList<AdminCapsule> {
	#isCut = $state(false);

	constructor() {
		super();
		events.on('session:changed', () => this.forget());
		events.on('capsule:created', () => this.refresh());
		events.on('capsule:answered', () => this.refresh());
		events.on('capsule:destroyed', ({ id }) => this.remove(id));
	}

	/** True if there are more than the server lists at once. */
	get isCut(): boolean {
		return this.#isCut;
	}

	protected override async list(signal: AbortSignal): Promise<AdminCapsule[]> {
		const call = api.GET('/v1/admin/capsules', { signal });
		const capsules = await unwrap(call);
		this.#isCut = (await call).response.headers.has('X-Next-Token');
		return capsules;
	}

	protected override compare(a: AdminCapsule, b: AdminCapsule): number {
		return newestFirst(a, b) || a.id.localeCompare(b.id);
	}

	protected override isSettling(): boolean {
		return this.items.some(isSettling);
	}

	protected override intervalMs(failures: number): number {
		if (failures > 0) return super.intervalMs(failures);
		if (this.items.length > LONG) return LONG_MS;
		return this.isSettling() ? SETTLING_MS : SETTLED_MS;
	}
}

export const allCapsules = new AllCapsules();
