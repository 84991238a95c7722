import { expect, it } from 'vitest';
import { defaultTemplateForm, parseTemplateForm } from './template-form';
import { capsule } from './testing';

it('begins with a type that the capsule can become', () => {
	expect(defaultTemplateForm(capsule()).type).toBe('snapshot');
	expect(defaultTemplateForm(capsule({ status: 'stopped' })).type).toBe('base');
});

it('lets the server make a name up, which replaces nothing', () => {
	const form = { name: '  ', type: 'snapshot', overwrite: true } as const;
	expect(parseTemplateForm(capsule(), form)).toEqual({
		ok: true,
		request: { sandbox_id: 'cl-1', type: 'snapshot' },
		overwrite: false
	});
});

it('sends what is wanted', () => {
	const form = { name: ' python-3.12 ', type: 'base', overwrite: true } as const;
	expect(parseTemplateForm(capsule(), form)).toEqual({
		ok: true,
		request: { sandbox_id: 'cl-1', type: 'base', name: 'python-3.12' },
		overwrite: true
	});
});

it('refuses names that no template can have', () => {
	for (const name of ['Upper', '-a', 'a b', 'ä']) {
		const form = { name, type: 'snapshot', overwrite: false } as const;
		expect(parseTemplateForm(capsule(), form).ok, name).toBe(false);
	}
});
