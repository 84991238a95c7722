import { describe, expect, it } from 'vitest';
import { INSTRUCTIONS, tokenize } from './recipe-tokens';

const kinds = (recipe: string) =>
	tokenize(recipe).map((line) => line.map(({ kind, text }) => `${kind}:${text}`));

describe('tokenize', () => {
	it('knows every instruction, in capitals or not', () => {
		for (const name of INSTRUCTIONS) {
			expect(kinds(`${name} x`)).toEqual([[`${name}:${name}`, 'plain: x']]);
			const small = name.toLowerCase();
			expect(kinds(`  ${small} x`)).toEqual([['plain:  ', `${name}:${small}`, 'plain: x']]);
		}
		expect(kinds('RNU x')).toEqual([['plain:RNU x']]);
		expect(kinds('RUNS x')).toEqual([['plain:RUNS x']]);
	});

	it('goes on in the next line, past comments and empty lines', () => {
		expect(kinds('RUN a \\\n# why\n\n  RUN \\\n b\nRUN c')).toEqual([
			['RUN:RUN', 'plain: a ', 'continuation:\\'],
			['comment:# why'],
			[],
			['plain:  RUN ', 'continuation:\\'],
			['plain: b'],
			['RUN:RUN', 'plain: c']
		]);
	});

	it('finds options of RUN only, and only before the command', () => {
		expect(kinds('RUN --timeout=5m make --all')).toEqual([
			['RUN:RUN', 'plain: ', 'option:--timeout=5m ', 'plain:make --all']
		]);
		expect(kinds('START --x')).toEqual([['START:START', 'plain: --x']]);
	});

	it('finds variables outside of single quotes', () => {
		expect(kinds(`ENV A=$HOME B="\${X}y" C='$no' D=$$`)).toEqual([
			[
				'ENV:ENV',
				'plain: A=',
				'variable:$HOME',
				'plain: B=',
				'string:"',
				'variable:${X}',
				'string:y"',
				'plain: C=',
				"string:'$no'",
				'plain: D=',
				'variable:$$'
			]
		]);
		expect(kinds('RUN echo \\$x "a\\"b"')).toEqual([
			['RUN:RUN', 'plain: echo \\$x ', 'string:"a\\"b"']
		]);
	});

	it('keeps a quote open across lines of one instruction, and not beyond', () => {
		expect(kinds(`RUN echo 'a \\\nb' c\nRUN 'open\nRUN d`)).toEqual([
			['RUN:RUN', 'plain: echo ', "string:'a ", 'continuation:\\'],
			["string:b'", 'plain: c'],
			['RUN:RUN', 'plain: ', "string:'open"],
			['RUN:RUN', 'plain: d']
		]);
	});

	it('leaves out nothing', () => {
		const recipe = [
			'# a',
			'\tRUN --timeout=1s  echo "x',
			'COPY a\\ b  c ',
			'env A=1 \\  ',
			'',
			'  \\',
			'$',
			'\\'
		].join('\n');
		const again = tokenize(recipe).map((line) => line.map(({ text }) => text).join(''));
		expect(again.join('\n')).toBe(recipe);
	});

	it('is quick with a long recipe', () => {
		const recipe = `RUN echo "${'x $y '.repeat(40)}"\n`.repeat(1_000);
		const beganMs = performance.now();
		expect(tokenize(recipe)).toHaveLength(1_001);
		expect(performance.now() - beganMs).toBeLessThan(2_000);
	});
});
