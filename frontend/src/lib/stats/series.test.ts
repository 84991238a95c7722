import { describe, expect, it } from 'vitest';
import {
	byteStep,
	fingerprint,
	formatMoment,
	movingAverage,
	ratePerSecond,
	summarize,
	timeMarks,
	withGaps,
	type Line
} from './series';

const seconds = (...values: number[]) => values.map((value) => value * 1000);

describe('movingAverage', () => {
	it('is the mean of the window up to each time', () => {
		const times = seconds(1, 2, 3, 4, 5);
		expect(movingAverage(times, [1, 2, 3, 4, 5], 3000)).toEqual([1, 1.5, 2, 3, 4]);
		expect(movingAverage(times, [1, 2, 3, 4, 5], 1000)).toEqual([1, 2, 3, 4, 5]);
	});

	it('is by time and not by number, so it forgets what was before a pause', () => {
		expect(movingAverage(seconds(1, 2, 100, 101), [9, 9, 1, 3], 10_000)).toEqual([9, 9, 1, 2]);
	});

	it('has gaps where the values have them', () => {
		expect(movingAverage(seconds(1, 2, 3), [2, null, 4], 10_000)).toEqual([2, null, 3]);
		expect(movingAverage([], [], 1000)).toEqual([]);
	});
});

describe('ratePerSecond', () => {
	it('is the growth by the time it took', () => {
		expect(ratePerSecond(seconds(0, 1, 3), [100, 150, 350])).toEqual([null, 50, 100]);
	});

	it('knows nothing of the moment when a counter began anew, or after a gap', () => {
		expect(ratePerSecond(seconds(0, 1, 2, 3, 4), [100, 7, 9, null, 9])).toEqual([
			null,
			null,
			2,
			null,
			null
		]);
	});
});

it('withGaps puts nothing where nothing was measured', () => {
	const rows = seconds(0, 1, 2, 10, 11);
	expect(withGaps(rows, (time) => time, 1000)).toEqual([
		{ time: 0, row: 0 },
		{ time: 1000, row: 1000 },
		{ time: 2000, row: 2000 },
		{ time: 3000, row: null },
		{ time: 10_000, row: 10_000 },
		{ time: 11_000, row: 11_000 }
	]);
});

it('fingerprint tells whether a chart would look different', () => {
	const line = (values: (number | null)[], label = 'a'): Line => ({
		label,
		values,
		format: String,
		color: 'buff'
	});
	const base = fingerprint([1, 2], [line([3, 4])]);
	expect(fingerprint([1, 2], [line([3, 4])])).toBe(base);
	for (const other of [
		fingerprint([1, 3], [line([3, 4])]),
		fingerprint([1, 2], [line([3, null])]),
		fingerprint([1, 2], [line([3, 4], 'b')]),
		fingerprint([1, 2], [line([3, 4]), line([3, 4])]),
		fingerprint([12], [line([34])])
	]) {
		expect(other).not.toBe(base);
	}
});

it('summarize passes over gaps', () => {
	expect(summarize([null, 3, 1, null, 2, null])).toEqual({ now: 2, least: 1, most: 3 });
	expect(summarize([null])).toBeNull();
});

it('byteStep is round in binary units', () => {
	const mb = 1024 * 1024;
	expect(byteStep(512 * mb)).toBe(128 * mb);
	expect(byteStep(600 * mb)).toBe(256 * mb);
	expect(byteStep(3 * 1024 * mb)).toBe(1024 * mb);
	expect(byteStep(3000)).toBe(1024);
	expect(byteStep(0)).toBe(1);
});

it('timeMarks are round times of day', () => {
	const minute = 60_000;
	expect(timeMarks(100_000, 400_000, 6, 0)).toEqual([2, 3, 4, 5, 6].map((n) => n * minute));
	expect(timeMarks(0, 60 * minute, 6, 0)).toEqual(
		[0, 10, 20, 30, 40, 50, 60].map((n) => n * minute)
	);
	// The day begins an hour and a half later.
	const day = 24 * 60 * minute;
	expect(timeMarks(0, 2 * day, 2, 90 * minute)).toEqual([90 * minute, day + 90 * minute]);
	expect(timeMarks(5, 5, 6, 0)).toEqual([5]);
});

it('formatMoment is as exact as the range makes useful', () => {
	const at = new Date(2026, 2, 1, 14, 5, 9).getTime();
	expect(formatMoment(at, 5 * 60_000)).toBe('14:05:09');
	expect(formatMoment(at, 3_600_000)).toBe('14:05');
	expect(formatMoment(at, 30 * 86_400_000)).toBe('03-01 14:05');
});
