/** Ranges of time that statistics are shown for, and how often each is worth another look. */
import type { MetricsRange, StatsRange } from '../api/types';
import { texts } from '../texts';

const SECOND_MS = 1_000;

/** The ranges of the team's statistics. */
export const STATS_RANGES: readonly StatsRange[] = ['5m', '1h', '6h', '24h', '30d'];
/** The ranges of one capsule's measurements. */
export const METRICS_RANGES: readonly MetricsRange[] = [
	'5m',
	'10m',
	'1h',
	'2h',
	'6h',
	'12h',
	'24h'
];

export const STATS_INTERVALS_MS: Record<StatsRange, number> = {
	'5m': 15 * SECOND_MS,
	'1h': 30 * SECOND_MS,
	'6h': 60 * SECOND_MS,
	'24h': 120 * SECOND_MS,
	'30d': 300 * SECOND_MS
};

export const METRICS_INTERVALS_MS: Record<MetricsRange, number> = {
	'5m': 10 * SECOND_MS,
	'10m': 10 * SECOND_MS,
	'1h': 30 * SECOND_MS,
	'2h': 30 * SECOND_MS,
	'6h': 60 * SECOND_MS,
	'12h': 120 * SECOND_MS,
	'24h': 120 * SECOND_MS
};

export type AnyRange = StatsRange | MetricsRange;

const SECONDS: Record<AnyRange, number> = {
	'5m': 300,
	'10m': 600,
	'1h': 3_600,
	'2h': 7_200,
	'6h': 21_600,
	'12h': 43_200,
	'24h': 86_400,
	'30d': 2_592_000
};

export function rangeSeconds(range: AnyRange): number {
	return SECONDS[range];
}

export function rangeText(range: AnyRange): string {
	return texts.stats.ranges[range];
}

/** The range that an address names; the usual one if it names none of them. */
export function readRange<R extends AnyRange>(
	params: URLSearchParams,
	ranges: readonly R[],
	usual: R
): R {
	return ranges.find((range) => range === params.get('range')) ?? usual;
}

/** A range as the generated client wants it: the document gives it a default in a way that reads like a second type. */
export function rangeParam<R extends AnyRange>(range: R): R & Record<string, never> {
	return range as R & Record<string, never>;
}

const RETRY_MS = SECOND_MS;

/** The time to wait before the next look: short after a failure, and never longer than usual. */
export function nextLookMs(intervalMs: number, failures: number): number {
	return failures === 0 ? intervalMs : Math.min(RETRY_MS * 2 ** failures, intervalMs);
}
