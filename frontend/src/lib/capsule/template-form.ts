/** The form for a template of a capsule: what is typed, and what of it can be sent. */
import type { Capsule, CreateTemplateRequest, TemplateType } from '../api/types';
import { templateNameProblem } from '../template/name';
import { texts } from '../texts';
import { typeObstacle } from './obstacles';

export interface TemplateForm {
	/** Empty: the server makes one up. */
	name: string;
	type: TemplateType;
	overwrite: boolean;
}

export type ParsedTemplateForm =
	{ ok: true; request: CreateTemplateRequest; overwrite: boolean } | { ok: false; name: string };

export const TYPES: readonly { type: TemplateType; text: string }[] = [
	{ type: 'snapshot', text: texts.capsule.templateTypes.snapshot },
	{ type: 'base', text: texts.capsule.templateTypes.base }
];

export function defaultTemplateForm(capsule: Capsule): TemplateForm {
	const possible = TYPES.find(({ type }) => typeObstacle(capsule, type) === null);
	return { name: '', type: possible?.type ?? 'snapshot', overwrite: false };
}

export function parseTemplateForm(capsule: Capsule, form: TemplateForm): ParsedTemplateForm {
	const name = form.name.trim();
	const problem = name === '' ? null : templateNameProblem(name);
	if (problem !== null) return { ok: false, name: problem };
	const request = { sandbox_id: capsule.id, type: form.type, ...(name === '' ? {} : { name }) };
	// A name that is still to be made up belongs to no template yet.
	return { ok: true, request, overwrite: form.overwrite && name !== '' };
}
