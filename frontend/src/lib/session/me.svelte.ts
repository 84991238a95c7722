/** The user's own account, with what the session does not carry: whether the address is confirmed, how they sign in. */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { Me } from '../api/types';
import { events } from '../events';
import { newsOf, Polled } from '../polling/polled.svelte';

class MeView extends Polled<Me> {
	constructor() {
		super(newsOf('user.changed'));
		events.on('session:changed', () => this.forget());
		events.on('session:renewed', () => this.refresh());
		events.on('account:changed', () => this.refresh());
	}

	protected override ask(signal: AbortSignal): Promise<Me> {
		return unwrap(api.GET('/v1/me', { signal }));
	}
}

export const me = new MeView();
