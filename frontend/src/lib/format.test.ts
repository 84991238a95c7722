import { describe, expect, it } from 'vitest';
import {
	formatAge,
	formatBytes,
	formatDuration,
	formatMb,
	formatSize,
	formatStatuses,
	formatTicking
} from './format';

describe('formatAge', () => {
	const start = '2026-03-01T12:00:00Z';
	const after = (seconds: number) => formatAge(start, Date.parse(start) + seconds * 1000);

	it('uses the one or two units that matter', () => {
		expect(after(0)).toBe('0s');
		expect(after(59.9)).toBe('59s');
		expect(after(60)).toBe('1m');
		expect(after(3 * 3600)).toBe('3h');
		expect(after(3 * 3600 + 20 * 60)).toBe('3h 20m');
		expect(after(49 * 3600)).toBe('2d 1h');
		expect(after(2 * 365 * 86_400 + 5 * 86_400)).toBe('2y 5d');
	});

	it('never goes below zero and never shows NaN', () => {
		expect(after(-30)).toBe('0s');
		expect(formatAge('whenever', 0)).toBe('–');
	});
});

it('formatMb changes to GB at 1024', () => {
	expect(formatMb(512)).toBe('512 MB');
	expect(formatMb(1024)).toBe('1 GB');
	expect(formatMb(1536)).toBe('1.5 GB');
	expect(formatMb(5120)).toBe('5 GB');
});

it('formatBytes rounds to megabytes', () => {
	expect(formatBytes(222_298_112)).toBe('212 MB');
	expect(formatBytes(0)).toBe('–');
	expect(formatBytes(3 * 1024 ** 3)).toBe('3 GB');
});

it('formatSize takes the unit that fits', () => {
	const sizes = [0, 812, 1023.6, 1024, 10_189, 10_200, 1024 ** 2 - 1, 5.5 * 1024 ** 3];
	expect(sizes.map(formatSize)).toEqual([
		'0 B',
		'812 B',
		'1.0 KB',
		'1.0 KB',
		'10 KB',
		'10 KB',
		'1.0 MB',
		'5.5 GB'
	]);
});

it('formatDuration keeps three figures or so', () => {
	expect(formatDuration(34.6)).toBe('35 ms');
	expect(formatDuration(1234)).toBe('1.2 s');
	expect(formatDuration(184_000)).toBe('3m 4s');
});

it('formatTicking shows whole seconds', () => {
	expect([-5, 0, 999, 12_900, 60_000, 184_999].map(formatTicking)).toEqual([
		'0 s',
		'0 s',
		'0 s',
		'12 s',
		'1m',
		'3m 4s'
	]);
});

it('formatStatuses names the most frequent first', () => {
	const items = ['paused', 'running', 'running', 'running'].map((status) => ({ status }));
	expect(formatStatuses(items)).toBe('3 running, 1 paused');
	expect(formatStatuses([])).toBe('');
});
