import { expect, it } from 'vitest';
import { formatUse, RESOURCES } from './quota';
import { countLimits, draftOf, readQuota } from './quota-form';

it('reads what it has written', () => {
	const limits = { running_capsules: 0, memory_mb: 4096 };
	const draft = draftOf(limits);
	expect(draft.running_capsules).toBe('0');
	expect(draft.vcpus).toBe('');
	const read = readQuota({ ...draft, disk_mb: ' 10240 ' });
	expect(read).toEqual({
		limits: {
			...Object.fromEntries(RESOURCES.map((resource) => [resource, null])),
			...limits,
			disk_mb: 10_240
		}
	});
});

it('names each field that is no number', () => {
	const read = readQuota({ ...draftOf({}), vcpus: 'two', templates: '-1', paused_capsules: '5' });
	expect(read).toEqual({
		problems: {
			vcpus: 'vCPUs must be a whole number.',
			templates: 'Templates must be a whole number.'
		}
	});
});

it('counts the limits that are set, also those of nothing', () => {
	expect(countLimits({ running_capsules: 0, vcpus: null, disk_mb: 5 })).toBe(2);
});

it('writes sizes as sizes', () => {
	expect(formatUse('memory_mb', 1536)).toBe('1.5 GB');
	expect(formatUse('vcpus', 1536)).toBe('1,536');
});
