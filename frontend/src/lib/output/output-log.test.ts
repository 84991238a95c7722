import { expect, it } from 'vitest';
import { append, EMPTY_LOG } from './output-log';

it('puts pieces of one stream together and keeps the order of several', () => {
	let log = append(EMPTY_LOG, [{ stream: 'stdout', text: 'a' }]);
	log = append(log, [
		{ stream: 'stdout', text: 'b' },
		{ stream: 'stderr', text: 'c' },
		{ stream: 'stdout', text: '' },
		{ stream: 'stdout', text: 'd' }
	]);
	expect(log.pieces.map(({ stream, text }) => `${stream}:${text}`)).toEqual([
		'stdout:ab',
		'stderr:c',
		'stdout:d'
	]);
	expect(new Set(log.pieces.map(({ id }) => id)).size).toBe(3);
	expect(log.shownChars).toBe(4);
});

it('leaves the pieces alone that are full, so that only the last one is drawn anew', () => {
	let log = EMPTY_LOG;
	for (let line = 0; line < 5_000; line++) {
		const before = log.pieces;
		log = append(log, [{ stream: 'stdout', text: `line ${line}\n` }]);
		expect(log.pieces.length - before.length).toBeLessThanOrEqual(1);
		const kept = before.slice(0, -1);
		expect(log.pieces.slice(0, kept.length).every((piece, at) => piece === kept[at])).toBe(true);
	}
});

it('keeps the end, in whole lines, and counts what it leaves out', () => {
	let log = EMPTY_LOG;
	let all = '';
	for (let line = 0; line < 100_000; line++) {
		const text = `line ${line}\n`;
		all += text;
		log = append(log, [{ stream: line % 1_000 === 0 ? 'stderr' : 'stdout', text }]);
	}
	const shown = log.pieces.map(({ text }) => text).join('');
	expect(shown.length).toBe(log.shownChars);
	expect(shown.length).toBeLessThanOrEqual(200_000);
	expect(shown.length).toBeGreaterThan(190_000);
	expect(all.endsWith(shown)).toBe(true);
	expect(shown.startsWith('line ')).toBe(true);
	expect(log.hiddenChars).toBe(all.length - shown.length);
});

it('shows as much as it is told', () => {
	const prints = ['a', 'b', 'c'].map((text) => ({
		stream: 'stdout' as const,
		text: text.repeat(8_000)
	}));
	expect(append(EMPTY_LOG, prints, 16_000).hiddenChars).toBe(8_000);
	expect(append(EMPTY_LOG, prints, 24_000).hiddenChars).toBe(0);
});

it('shows nothing of one print that is longer than all that is shown', () => {
	const log = append(EMPTY_LOG, [{ stream: 'stdout', text: 'x'.repeat(500_000) }]);
	expect(log).toEqual({ pieces: [], shownChars: 0, hiddenChars: 500_000 });
});
