import { expect, it } from 'vitest';
import { formatTimeout, parseTimeout } from './timeout';

it('formatTimeout leaves nothing out', () => {
	expect([0, 45, 60, 90, 3600, 5400, 90061].map(formatTimeout)).toEqual([
		'never',
		'45s',
		'1m',
		'1m 30s',
		'1h',
		'1h 30m',
		'1d 1h 1m 1s'
	]);
});

it('parseTimeout takes whole seconds within the limits', () => {
	expect(parseTimeout(' 300 ')).toEqual({ value: 300 });
	expect(parseTimeout('0')).toEqual({ value: 0 });
	for (const text of ['', '-1', '1.5', '99999999999']) {
		expect(parseTimeout(text), text).toHaveProperty('problem');
	}
});
