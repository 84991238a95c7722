/** The actions of a user on templates. */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { CreateTemplateRequest, Template } from '../api/types';
import type { BuildScope } from '../build/scope';
import { toasts } from '../components/toasts.svelte';
import { events } from '../events';
import { texts } from '../texts';

const words = texts.template;

/** Makes a template of a capsule and waits until it is ready; errors go to the caller. */
export async function createTemplate(
	body: CreateTemplateRequest,
	overwrite: boolean
): Promise<Template> {
	const id = body.sandbox_id;
	events.emit('capsule:asked', {
		id,
		operation: body.type === 'base' ? 'flattening' : 'snapshotting'
	});
	let template: Template;
	try {
		const params = { query: overwrite ? { overwrite } : {} };
		template = await unwrap(api.POST('/v1/snapshots', { params, body }));
	} finally {
		events.emit('capsule:answered', { id });
	}
	events.emit('template:created', template);
	toasts.done(words.readyToast(template.name));
	return template;
}

/** Deletes a template, of the team or of any team; errors go to the caller, whose dialog shows them. */
export async function deleteTemplate(
	scope: BuildScope,
	{ id, name, team_id }: Template
): Promise<void> {
	if (scope === 'team') {
		await unwrap(api.DELETE('/v1/snapshots/{name}', { params: { path: { name } } }));
	} else {
		const params = { path: { name }, query: { team_id } };
		await unwrap(api.DELETE('/v1/admin/templates/{name}', { params }));
	}
	events.emit('template:deleted', { id });
	toasts.done(words.deletedToast(name));
}
