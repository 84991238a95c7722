import { expect, it } from 'vitest';
import { parseWholeNumber } from './whole-number';

it('checks the bounds that there are', () => {
	const parse = (typed: string) => parseWholeNumber(typed, 'Size', { minimum: 2, maximum: 3 });
	expect(parse('1')).toEqual({ problem: 'Size must be at least 2.' });
	expect(parse(' 2 ')).toEqual({ value: 2 });
	expect(parse('3')).toEqual({ value: 3 });
	expect(parse('4')).toEqual({ problem: 'Size must be at most 3.' });
	expect(parseWholeNumber('0', 'Size', {})).toEqual({ value: 0 });
});
