import { expect, it } from 'vitest';
import { changesOf, formOf, limitText, parseQuota, QUOTA_NAMES } from './quota-form';

const none = formOf({});

it('shows no limit as an empty field, and reads it again', () => {
	const form = formOf({ vcpus: 8, memory_mb: null, templates: 0 });
	expect(form).toMatchObject({ vcpus: '8', memory_mb: '', templates: '0', disk_mb: '' });
	const parsed = parseQuota(form);
	expect(parsed).toMatchObject({ ok: true, quota: { vcpus: 8, templates: 0, disk_mb: null } });
	// All of them are sent: what is left out would be no limit.
	if (parsed.ok) expect(Object.keys(parsed.quota)).toEqual(QUOTA_NAMES);
});

it('names the field that is wrong', () => {
	const parsed = parseQuota({ ...none, vcpus: 'many', disk_mb: '-1' });
	expect(parsed).toEqual({
		ok: false,
		problems: {
			vcpus: 'vCPUs must be a whole number.',
			disk_mb: 'Disk must be a whole number.'
		}
	});
});

it('knows what is not saved', () => {
	expect(changesOf(none, {})).toEqual([]);
	expect(changesOf({ ...none, vcpus: ' 8 ' }, { vcpus: 8 })).toEqual([]);
	expect(changesOf({ ...none, vcpus: '9' }, { vcpus: 8, templates: 3 })).toEqual([
		'vcpus',
		'templates'
	]);
});

it('writes limits as people read them', () => {
	expect(limitText('vcpus', null)).toBe('no limit');
	expect(limitText('vcpus', 1_000)).toBe('1,000');
	expect(limitText('memory_mb', 2_048)).toBe('2 GB');
});
