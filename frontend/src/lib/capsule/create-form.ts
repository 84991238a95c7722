/**
 * The form for a new capsule: the input, and the request that it makes.
 *
 * The form checks the limits of the API. The server also knows its hosts and templates; its error is
 * shown beside the form.
 */
import { limits } from '../api/limits';
import type { CreateCapsuleRequest, Template } from '../api/types';
import type { PreviewAccess } from '../preview/links';
import { parseWholeNumber } from '../forms/whole-number';
import { texts } from '../texts';

const LIMITS = limits.CreateCapsuleRequest;

const NUMBER_LABELS = {
	vcpus: texts.capsule.fields.vcpus,
	memory_mb: texts.capsule.fields.memory,
	disk_size_mb: texts.capsule.fields.disk,
	timeout_sec: texts.capsule.fields.timeout
} as const;

type NumberField = keyof typeof NUMBER_LABELS;
export type CreateField = 'template' | NumberField;

/** Exactly what stands in the inputs. */
export interface CreateForm extends Record<CreateField, string> {
	auto_resume: boolean;
	preview_access: PreviewAccess;
}
export type CreateFormErrors = Partial<Record<CreateField, string>>;

export type ParsedCreateForm =
	{ ok: true; request: CreateCapsuleRequest } | { ok: false; errors: CreateFormErrors };

export const DEFAULT_CREATE_FORM: Readonly<CreateForm> = {
	template: LIMITS.template.default,
	vcpus: String(LIMITS.vcpus.default),
	memory_mb: String(LIMITS.memory_mb.default),
	disk_size_mb: String(LIMITS.disk_size_mb.default),
	timeout_sec: String(LIMITS.timeout_sec.default),
	auto_resume: LIMITS.auto_resume.default,
	preview_access: 'token'
};

/**
 * The form with another template: a snapshot decides the size of the machine, and every template the
 * least size of the disk.
 */
export function withTemplate(form: CreateForm, before: Template | null, now: Template): CreateForm {
	const size = (field: 'vcpus' | 'memory_mb') => {
		if (now[field] !== null) return String(now[field]);
		// A size that a snapshot had decided was not the user's choice.
		return before && before[field] !== null ? DEFAULT_CREATE_FORM[field] : form[field];
	};
	const wasDecided = before && form.disk_size_mb === String(before.disk_size_mb);
	const disk = wasDecided ? DEFAULT_CREATE_FORM.disk_size_mb : form.disk_size_mb;
	return {
		...form,
		template: now.name,
		vcpus: size('vcpus'),
		memory_mb: size('memory_mb'),
		disk_size_mb: Number(disk) < now.disk_size_mb ? String(now.disk_size_mb) : disk
	};
}

export function parseCreateForm(
	form: CreateForm,
	chosen: Template | null = null
): ParsedCreateForm {
	const errors: CreateFormErrors = {};
	const template = form.template.trim();
	if (template === '') errors.template = texts.capsule.chooseTemplate;

	const number = (field: NumberField): number => {
		const ofTemplate = field === 'disk_size_mb' && chosen ? { minimum: chosen.disk_size_mb } : {};
		const bounds = { ...LIMITS[field], ...ofTemplate };
		const parsed = parseWholeNumber(form[field], NUMBER_LABELS[field], bounds);
		if ('value' in parsed) return parsed.value;
		errors[field] = parsed.problem;
		return NaN;
	};
	const request = {
		template,
		vcpus: number('vcpus'),
		memory_mb: number('memory_mb'),
		disk_size_mb: number('disk_size_mb'),
		timeout_sec: number('timeout_sec'),
		auto_resume: form.auto_resume,
		preview_access: form.preview_access
	};
	return Object.keys(errors).length === 0 ? { ok: true, request } : { ok: false, errors };
}
