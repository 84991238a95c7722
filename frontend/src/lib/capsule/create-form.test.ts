import { expect, it } from 'vitest';
import { limits } from '../api/limits';
import { DEFAULT_CREATE_FORM, parseCreateForm, withTemplate } from './create-form';
import { template } from './testing';

it('accepts the defaults as they are', () => {
	expect(parseCreateForm(DEFAULT_CREATE_FORM)).toEqual({
		ok: true,
		request: {
			template: 'minimal',
			vcpus: 1,
			memory_mb: 512,
			disk_size_mb: 5120,
			timeout_sec: 0,
			auto_resume: false,
			preview_access: 'token'
		}
	});
});

it('names every field that cannot be right', () => {
	const parsed = parseCreateForm({
		...DEFAULT_CREATE_FORM,
		template: '  ',
		vcpus: '0',
		memory_mb: '-512',
		disk_size_mb: '5.5',
		timeout_sec: ''
	});
	expect(parsed).toEqual({
		ok: false,
		errors: {
			template: 'Choose a template.',
			vcpus: 'vCPUs must be at least 1.',
			memory_mb: 'Memory must be a whole number.',
			disk_size_mb: 'Disk must be a whole number.',
			timeout_sec: 'Idle timeout must be a whole number.'
		}
	});
});

it('refuses numbers above the maximum', () => {
	const labels = {
		vcpus: 'vCPUs',
		memory_mb: 'Memory',
		disk_size_mb: 'Disk',
		timeout_sec: 'Idle timeout'
	};
	for (const [field, label] of Object.entries(labels)) {
		const { maximum } = limits.CreateCapsuleRequest[field as keyof typeof labels];
		const parse = (value: number) =>
			parseCreateForm({ ...DEFAULT_CREATE_FORM, [field]: String(value) });
		expect(parse(maximum).ok, field).toBe(true);
		expect(parse(maximum + 1)).toEqual({
			ok: false,
			errors: { [field]: `${label} must be at most ${maximum}.` }
		});
	}
});

it('accepts a small disk: the template decides how small', () => {
	const form = { ...DEFAULT_CREATE_FORM, disk_size_mb: '1' };
	expect(parseCreateForm(form).ok).toBe(true);
	expect(parseCreateForm(form, template({ disk_size_mb: 1 })).ok).toBe(true);
});

it('refuses numbers that lose digits', () => {
	expect(parseCreateForm({ ...DEFAULT_CREATE_FORM, memory_mb: '99999999999999999999' }).ok).toBe(
		false
	);
});

it('takes the machine from a snapshot, and gives it back with a base template', () => {
	const minimal = template();
	const warm = template({ name: 'warm', vcpus: 2, memory_mb: 1024, disk_size_mb: 8000 });
	const chosen = withTemplate(DEFAULT_CREATE_FORM, minimal, warm);
	expect(chosen).toMatchObject({
		template: 'warm',
		vcpus: '2',
		memory_mb: '1024',
		disk_size_mb: '8000'
	});
	expect(withTemplate(chosen, warm, minimal)).toEqual(DEFAULT_CREATE_FORM);
	const typed = { ...DEFAULT_CREATE_FORM, vcpus: '4', disk_size_mb: '9000' };
	expect(withTemplate(typed, minimal, template({ disk_size_mb: 300 }))).toEqual(typed);
});

it('asks for no less disk than the template needs', () => {
	const form = { ...DEFAULT_CREATE_FORM, disk_size_mb: '299' };
	expect(parseCreateForm(form, template({ disk_size_mb: 300 }))).toEqual({
		ok: false,
		errors: { disk_size_mb: 'Disk must be at least 300.' }
	});
	const { maximum } = limits.CreateCapsuleRequest.disk_size_mb;
	const tooLarge = { ...DEFAULT_CREATE_FORM, disk_size_mb: String(maximum + 1) };
	expect(parseCreateForm(tooLarge, template({ disk_size_mb: 300 })).ok).toBe(false);
});
