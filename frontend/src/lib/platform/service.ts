/** The actions of an administrator on the platform; errors go to the caller, whose form shows them. */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { PlatformSettings } from '../api/types';
import { toasts } from '../components/toasts.svelte';
import { events } from '../events';
import { texts } from '../texts';

const words = texts.platform.settings;

/** Replaces all settings. */
export async function saveSettings(body: PlatformSettings): Promise<void> {
	const settings = await unwrap(api.PUT('/v1/admin/settings', { body }));
	events.emit('settings:changed', settings);
	toasts.done(words.saved);
}

/** Makes a new key that signs tokens; those of former keys stay valid for a while, or end at once. */
export async function rotateTokenKey(sessions: 'keep' | 'end'): Promise<void> {
	const body = { end_sessions: sessions === 'end' };
	const { id } = await unwrap(api.POST('/v1/admin/settings/token-key', { body }));
	toasts.done(sessions === 'end' ? words.tokenKey.doneEnded : words.tokenKey.done(id));
}
