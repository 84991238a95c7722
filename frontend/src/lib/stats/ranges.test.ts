import { expect, it } from 'vitest';
import {
	METRICS_INTERVALS_MS,
	METRICS_RANGES,
	nextLookMs,
	rangeSeconds,
	readRange,
	STATS_INTERVALS_MS,
	STATS_RANGES
} from './ranges';

it('readRange takes what is there, and the usual one for anything else', () => {
	const read = (search: string) => readRange(new URLSearchParams(search), STATS_RANGES, '1h');
	expect(read('?range=30d')).toBe('30d');
	expect(read('?range=10m')).toBe('1h');
	expect(read('')).toBe('1h');
});

it('longer ranges are looked at less often', () => {
	const stats = STATS_RANGES.map((range) => STATS_INTERVALS_MS[range] / 1000);
	expect(stats).toEqual([15, 30, 60, 120, 300]);
	const metrics = METRICS_RANGES.map((range) => METRICS_INTERVALS_MS[range] / 1000);
	expect(metrics).toEqual([10, 10, 30, 30, 60, 120, 120]);
	expect(METRICS_RANGES.map(rangeSeconds)).toEqual(
		[...METRICS_RANGES.map(rangeSeconds)].sort((a, b) => a - b)
	);
});

it('a failed look is soon tried again, and never later than usual', () => {
	expect(nextLookMs(15_000, 0)).toBe(15_000);
	expect([1, 2, 3, 4, 9].map((failures) => nextLookMs(15_000, failures))).toEqual([
		2_000, 4_000, 8_000, 15_000, 15_000
	]);
});
