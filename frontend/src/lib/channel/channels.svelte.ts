/** The team's notification channels, newest first. Their receivers fail without news, so they are asked for while watched. */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { Channel } from '../api/types';
import { events } from '../events';
import { newestFirst, PolledList } from '../polling/polled.svelte';

class ChannelList extends PolledList<Channel> {
	constructor() {
		super();
		events.on('session:changed', () => this.forget());
		events.on('channel:created', (channel) => this.add(channel));
		events.on('channel:changed', (channel) => this.replace(channel));
		events.on('channel:deleted', ({ id }) => this.remove(id));
	}

	protected override list(signal: AbortSignal): Promise<Channel[]> {
		return unwrap(api.GET('/v1/channels', { signal }));
	}

	protected override compare(a: Channel, b: Channel): number {
		return newestFirst(a, b) || a.id.localeCompare(b.id);
	}
}

export const channels = new ChannelList();
