import { expect, it } from 'vitest';
import { draftOf } from '../usage/quota-form';
import { changesOf, limitText } from './quota-changes';

const none = draftOf({});

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
