/** The hosts that the team of the session has brought, newest first, each with its tags. */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { Host } from '../api/types';
import { events } from '../events';
import { newestFirst, newsOf, PolledList } from '../polling/polled.svelte';
import { session } from '../session/session.svelte';

/** A host as its page shows it: the list of hosts does not have their tags. */
export type TeamHost = Host & { tags: readonly string[] };

class HostList extends PolledList<TeamHost> {
	constructor() {
		super(newsOf('host.changed'));
		events.on('session:changed', () => this.forget());
		events.on('host:changed', () => this.refresh());
	}

	protected override async list(signal: AbortSignal): Promise<TeamHost[]> {
		const hosts = await unwrap(api.GET('/v1/hosts', { signal }));
		// An administrator of the platform is shown the hosts of others, too.
		const own = hosts.filter(({ team_id }) => team_id === session.current?.team_id);
		return Promise.all(
			own.map(async (host) => {
				const params = { path: { id: host.id } };
				const tags = await unwrap(api.GET('/v1/hosts/{id}/tags', { params, signal }));
				return { ...host, tags };
			})
		);
	}

	protected override compare(a: TeamHost, b: TeamHost): number {
		return newestFirst(a, b) || a.id.localeCompare(b.id);
	}
}

export const hosts = new HostList();
