/**
 * The facts that help to decide about the limits of a team: the platform's defaults, and what the team uses. The server tells
 * the use only to members of the team; of others it is known how many capsules run.
 */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { AdminTeam, QuotaLimits } from '../api/types';
import { Loaded } from '../polling/loaded.svelte';
import { RESOURCES, type Resource } from '../usage/quota';
import { teams } from './teams.svelte';

interface Facts {
	defaults: QuotaLimits;
	used: Partial<Record<Resource, number>>;
}

export class QuotaFacts extends Loaded<Facts> {
	readonly #team: AdminTeam;

	constructor(team: AdminTeam) {
		super();
		this.#team = team;
	}

	/** The platform's default; null for no limit, undefined while it is not known. */
	defaultOf(resource: Resource): number | null | undefined {
		return this.value === null ? undefined : (this.value.defaults[resource] ?? null);
	}

	/** Undefined where it is not known. */
	usedOf(resource: Resource): number | undefined {
		return this.value?.used[resource];
	}

	protected override async ask(signal: AbortSignal): Promise<Facts> {
		const [settings, used] = await Promise.all([
			unwrap(api.GET('/v1/admin/settings', { signal })),
			this.#use(signal)
		]);
		return { defaults: settings.quota, used };
	}

	async #use(signal: AbortSignal): Promise<Facts['used']> {
		const { id, running_capsules } = this.#team;
		if (!teams.items.some((own) => own.id === id)) return { running_capsules };
		const params = { path: { id } };
		const quota = await unwrap(api.GET('/v1/teams/{id}/quota', { params, signal }));
		return Object.fromEntries(RESOURCES.map((resource) => [resource, quota[resource].used]));
	}
}
