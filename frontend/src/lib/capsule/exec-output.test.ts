import { expect, it } from 'vitest';
import { readOutput } from './exec-output';

it('shows text as it is', () => {
	expect(readOutput('zażółć\n', 'utf-8')).toEqual({ text: 'zażółć\n', hiddenChars: 0 });
});

it('decodes base64 and replaces what is not text', () => {
	expect(readOutput(btoa('a\xffb'), 'base64').text).toBe('a\ufffdb');
	expect(readOutput('', 'base64').text).toBe('');
});

it('keeps the end of a very long output', () => {
	const { text, hiddenChars } = readOutput('x'.repeat(300_000) + 'end', 'utf-8');
	expect(text.endsWith('end')).toBe(true);
	expect(text.length + hiddenChars).toBe(300_003);
	expect(hiddenChars).toBeGreaterThan(0);
});
