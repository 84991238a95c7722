/**
 * The form for a new capsule: what is typed, and what of it can be sent.
 *
 * Only what can never be right is refused here. Upper limits are the server's, which knows its
 * hosts; its answer is shown beside the form.
 */
import type { CreateCapsuleRequest, Template } from '../api/types';
import type { PreviewAccess } from '../preview/links';
import { parseWholeNumber } from '../whole-number';

const NUMBER_FIELDS = {
	vcpus: { label: 'vCPUs', min: 1 },
	memory_mb: { label: 'Memory', min: 128 },
	disk_size_mb: { label: 'Disk', min: 64 },
	timeout_sec: { label: 'Idle timeout', min: 0 }
} as const;

type NumberField = keyof typeof NUMBER_FIELDS;
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
	template: 'minimal',
	vcpus: '1',
	memory_mb: '512',
	disk_size_mb: '5120',
	timeout_sec: '0',
	auto_resume: false,
	preview_access: 'token'
};

/**
 * The form with another template: a snapshot decides the size of the machine, and every template the
 * least size of the disk.
 */
export function withTemplate(form: CreateForm, before: Template | null, now: Template): CreateForm {
	const size = (field: 'vcpus' | 'memory_mb') => {
		if (now[field] !== null) return String(now[field]);
		// What a snapshot had decided was nobody's choice.
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
	if (template === '') errors.template = 'Choose a template.';

	const number = (field: NumberField): number => {
		const { label } = NUMBER_FIELDS[field];
		const isDisk = field === 'disk_size_mb';
		const min = isDisk && chosen ? chosen.disk_size_mb : NUMBER_FIELDS[field].min;
		const parsed = parseWholeNumber(form[field], label, min);
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
