/** What a user can do with templates. */
import { api } from '../api/client';
import { toApiError, unwrap } from '../api/errors';
import type { AdminTemplate, CreateTemplateRequest, Template } from '../api/types';
import { events } from '../events';
import { toasts } from '../components/toasts.svelte';

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
	toasts.done(`Template ${template.name} is ready`);
	return template;
}

/** Deletes a template and says how it went. */
export async function deleteTemplate({ id, name }: Template): Promise<void> {
	try {
		await unwrap(api.DELETE('/v1/snapshots/{name}', { params: { path: { name } } }));
	} catch (error) {
		toasts.failed(`Template ${name} was not deleted: ${toApiError(error).message}`);
		return;
	}
	events.emit('template:deleted', { id });
	toasts.done(`Template ${name} is deleted`);
}

/** Deletes a template of any team; errors go to the caller, whose dialog shows them. */
export async function deleteTemplateOfTeam({ id, name, team_id }: AdminTemplate): Promise<void> {
	const params = { path: { name }, query: { team_id } };
	await unwrap(api.DELETE('/v1/admin/templates/{name}', { params }));
	events.emit('template:deleted', { id });
	toasts.done(`Template ${name} is deleted`);
}
