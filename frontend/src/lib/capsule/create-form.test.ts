import { expect, it } from 'vitest';
import { DEFAULT_CREATE_FORM, parseCreateForm } from './create-form';

it('accepts the defaults as they are', () => {
	expect(parseCreateForm(DEFAULT_CREATE_FORM)).toEqual({
		ok: true,
		request: { template: 'minimal', vcpus: 1, memory_mb: 512, disk_size_mb: 5120, timeout_sec: 0 }
	});
});

it('names every field that cannot be right', () => {
	const parsed = parseCreateForm({
		template: '  ',
		vcpus: '0',
		memory_mb: '-512',
		disk_size_mb: '5.5',
		timeout_sec: ''
	});
	expect(parsed).toEqual({
		ok: false,
		errors: {
			template: 'Name a template.',
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
