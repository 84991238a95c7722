import { expect, it } from 'vitest';
import { templateNameProblem } from './name';

it('checks the characters of a name', () => {
	for (const name of ['minimal', 'a', '0', 'python-3.12_x']) {
		expect(templateNameProblem(name), name).toBeNull();
	}
	for (const name of ['', '-a', '.a', 'Upper', 'a b', 'ä']) {
		expect(templateNameProblem(name), name).toContain('lower-case letters');
	}
});

it('checks the length of a name if it has a limit', () => {
	expect(templateNameProblem('abc', { maxLength: 3 })).toBeNull();
	expect(templateNameProblem('abcd', { maxLength: 3 })).toBe('At most 3 characters.');
	expect(templateNameProblem('a'.repeat(1000), {})).toBeNull();
});
