import { expect, it } from 'vitest';
import { append, EMPTY_LOG } from './output-log';

it('puts pieces of one stream together and keeps the order of several', () => {
	let log = append(EMPTY_LOG, 'stdout', 'a');
	log = append(log, 'stdout', 'b');
	log = append(log, 'stderr', 'c');
	log = append(log, 'stdout', '');
	log = append(log, 'stdout', 'd');
	expect(log.pieces.map(({ stream, text }) => `${stream}:${text}`)).toEqual([
		'stdout:ab',
		'stderr:c',
		'stdout:d'
	]);
	expect(new Set(log.pieces.map(({ id }) => id)).size).toBe(3);
});

it('keeps the end, and counts what it leaves out', () => {
	let log = EMPTY_LOG;
	let all = '';
	for (let line = 0; line < 50_000; line++) {
		const text = `line ${line}\n`;
		all += text;
		log = append(log, line % 1_000 === 0 ? 'stderr' : 'stdout', text);
	}
	const shown = log.pieces.map(({ text }) => text).join('');
	expect(shown.length).toBe(200_000);
	expect(all.endsWith(shown)).toBe(true);
	expect(log.hiddenChars).toBe(all.length - shown.length);
});
