/** The settings of the platform, for its administrators. They change by hand, so they are loaded when somebody opens them. */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { PlatformSettings } from '../api/types';
import { events } from '../events';
import { Loaded } from '../polling/loaded.svelte';

class Settings extends Loaded<PlatformSettings> {
	constructor() {
		super();
		events.on('settings:changed', (settings) => this.put(settings));
	}

	protected override ask(signal: AbortSignal): Promise<PlatformSettings> {
		return unwrap(api.GET('/v1/admin/settings', { signal }));
	}
}

export const platformSettings = new Settings();
