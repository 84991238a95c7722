import { expect, it } from 'vitest';
import { lengthProblem } from './text-length';

it('checks the bounds that there are', () => {
	const bounds = { minLength: 2, maxLength: 3 };
	expect(lengthProblem('a', bounds)).toBe('At least 2 characters.');
	expect(lengthProblem('ab', bounds)).toBeNull();
	expect(lengthProblem('abc', bounds)).toBeNull();
	expect(lengthProblem('abcd', bounds)).toBe('At most 3 characters.');
	expect(lengthProblem('', {})).toBeNull();
	expect(lengthProblem('', { minLength: 1 })).toBe('At least 1 character.');
});

it('counts a character outside the basic plane once', () => {
	expect(lengthProblem('🐦🐦🐦', { maxLength: 3 })).toBeNull();
	expect(lengthProblem('🐦', { minLength: 2 })).not.toBeNull();
});
