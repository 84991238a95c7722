/** Operations that a user can carry out on notification channels. */
import { api } from '../api/client';
import { toApiError, unwrap } from '../api/errors';
import type {
	Channel,
	CreateChannelRequest,
	TestChannelRequest,
	UpdateChannelRequest
} from '../api/types';
import { toasts } from '../components/toasts.svelte';
import { events } from '../events';
import { texts } from '../texts';

const words = texts.channel;

/** Creates a channel; errors go to the caller, whose form shows them. Returns the signing secret, if it has one. */
export async function createChannel(body: CreateChannelRequest): Promise<string | null> {
	const { secret, ...channel } = await unwrap(api.POST('/v1/channels', { body }));
	events.emit('channel:created', channel);
	toasts.done(words.created(channel.name));
	return secret ?? null;
}

/** Changes name and events; errors go to the caller, whose form shows them. */
export async function updateChannel(id: string, body: UpdateChannelRequest): Promise<void> {
	const channel = await update(id, body);
	toasts.done(words.saved(channel.name));
}

/** Replaces the configuration; errors go to the caller, whose form shows them. Returns the new signing secret, if it has one. */
export async function configureChannel(
	id: string,
	config: Record<string, string>
): Promise<string | null> {
	const params = { path: { id } };
	const { secret, ...channel } = await unwrap(
		api.PUT('/v1/channels/{id}/config', { params, body: { config } })
	);
	events.emit('channel:changed', channel);
	toasts.done(words.configured(channel.name));
	return secret ?? null;
}

/** Switches a channel on that the server has switched off, and says how it went. */
export async function enableChannel({ id, name, events: told }: Channel): Promise<void> {
	try {
		await update(id, { name, events: told });
	} catch (error) {
		toasts.failed(words.notEnabled(name, toApiError(error).message));
		return;
	}
	toasts.done(words.enabled(name));
}

/** Sends a test; if it does not arrive, the error goes to the caller, whose form shows it. */
export async function testChannel(body: TestChannelRequest): Promise<void> {
	await unwrap(api.POST('/v1/channels/test', { body }));
}

/** Deletes a channel and says how it went. */
export async function deleteChannel({ id, name }: Channel): Promise<void> {
	try {
		await unwrap(api.DELETE('/v1/channels/{id}', { params: { path: { id } } }));
	} catch (error) {
		toasts.failed(words.notDeleted(name, toApiError(error).message));
		return;
	}
	events.emit('channel:deleted', { id });
	toasts.done(words.deleted(name));
}

async function update(id: string, body: UpdateChannelRequest): Promise<Channel> {
	const params = { path: { id } };
	const channel = await unwrap(api.PATCH('/v1/channels/{id}', { params, body }));
	events.emit('channel:changed', channel);
	return channel;
}
