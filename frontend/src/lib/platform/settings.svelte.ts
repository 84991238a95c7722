/** The settings of the platform, for its administrators. They change by hand, so they are loaded when somebody opens them. */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { PlatformSettings } from '../api/types';
import { events } from '../events';
import { Loaded } from '../polling/loaded.svelte';
import { isSame } from '../polling/reconcile';

class Settings extends Loaded<PlatformSettings> {
	constructor() {
		super();
		events.on('settings:changed', (settings) => this.put(settings));
	}

	protected override async ask(signal: AbortSignal): Promise<PlatformSettings> {
		const settings = await unwrap(api.GET('/v1/admin/settings', { signal }));
		// The same object, so that a form with changes in it is left alone.
		return this.value !== null && isSame(this.value, settings) ? this.value : settings;
	}
}

export const platformSettings = new Settings();
