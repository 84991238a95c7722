/**
 * Hosts as the server last told, newest first, each with its tags: those that the team of the session has brought, and all
 * of them for administrators of the platform.
 *
 * Events tell a team of its hosts. Nobody tells an administrator of all hosts, so these are asked for every few seconds.
 */
import { api } from '../api/client';
import { toApiError, unwrap } from '../api/errors';
import type { Host } from '../api/types';
import { events } from '../events';
import { newestFirst, newsOf, PolledList } from '../polling/polled.svelte';
import { session } from '../session/session.svelte';
import type { HostScope } from './scope';

/** A host as its page shows it: the list of hosts does not have their tags. */
export type TaggedHost = Host & { tags: readonly string[] };

interface KnownTags {
	tags: readonly string[];
	/** Time of the answer. */
	atMs: number;
}

const PLATFORM_MS = 5_000;
/** Tags are asked for host by host, so those of all hosts are not asked for at each look. */
const PLATFORM_TAGS_MS = 60_000;

class HostList extends PolledList<TaggedHost> {
	readonly scope: HostScope;
	#tags = new Map<string, KnownTags>();

	constructor(scope: HostScope) {
		super(scope === 'team' ? newsOf('host.changed') : undefined);
		this.scope = scope;
		events.on('session:changed', () => {
			this.#tags = new Map();
			this.forget();
		});
		events.on('host:changed', ({ id }) => {
			this.#tags.delete(id);
			this.refresh();
		});
	}

	protected override async list(signal: AbortSignal): Promise<TaggedHost[]> {
		const hosts = await unwrap(api.GET('/v1/hosts', { signal }));
		// An administrator of the platform is shown the hosts of others, too.
		const wanted =
			this.scope === 'platform'
				? hosts
				: hosts.filter(({ team_id }) => team_id === session.current?.team_id);
		const tagged = await Promise.all(
			wanted.map(async (host) => {
				const tags = await this.#tagsOf(host.id, signal);
				return tags === null ? [] : [{ ...host, tags }];
			})
		);
		return tagged.flat();
	}

	/** Null for a host that was deleted meanwhile. */
	async #tagsOf(id: string, signal: AbortSignal): Promise<readonly string[] | null> {
		const known = this.#tags.get(id);
		const keptMs = this.scope === 'platform' ? PLATFORM_TAGS_MS : 0;
		if (known && Date.now() - known.atMs < keptMs) return known.tags;
		try {
			const params = { path: { id } };
			const tags = await unwrap(api.GET('/v1/hosts/{id}/tags', { params, signal }));
			if (!signal.aborted) this.#tags.set(id, { tags, atMs: Date.now() });
			return tags;
		} catch (error) {
			if (toApiError(error).status === 404) return null;
			throw error;
		}
	}

	protected override compare(a: TaggedHost, b: TaggedHost): number {
		return newestFirst(a, b) || a.id.localeCompare(b.id);
	}

	protected override intervalMs(failures: number): number {
		if (this.scope === 'team' || failures > 0) return super.intervalMs(failures);
		return PLATFORM_MS;
	}
}

/** A list for each scope, so that a page that is opened again shows at once what is known. */
export const hosts: Readonly<Record<HostScope, HostList>> = {
	team: new HostList('team'),
	platform: new HostList('platform')
};
