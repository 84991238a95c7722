import { expect, it } from 'vitest';
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

it('leaves upper limits to the server', () => {
	expect(parseCreateForm({ ...DEFAULT_CREATE_FORM, vcpus: '10000' }).ok).toBe(true);
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
});
