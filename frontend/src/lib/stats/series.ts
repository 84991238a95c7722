/**
 * Values over time, and what charts need of them.
 *
 * A value is null where nothing was measured; the line has a gap there.
 */

/** A line of a chart: values at the times of the chart, which are milliseconds since 1970. */
export interface Line {
	label: string;
	values: readonly (number | null)[];
	/** Returns the text of a value. */
	format: (value: number) => string;
	color: LineColor;
	/** The unit of the values: things need whole numbers, and bytes need binary steps. */
	unit?: 'things' | 'bytes';
	/** Drawn behind the others, thin. */
	isFaint?: boolean;
	/** The scale on the other side, where two lines have nothing in common; it is dashed. */
	isOnRight?: boolean;
}

/** Names of the theme's colours. */
export type LineColor = 'buff' | 'moving' | 'live' | 'asleep' | 'soft';

/**
 * The mean of the values of the last `windowMs` at each time. The window ends where there is a gap in it only
 * by having fewer values; where there are none, there is no mean.
 */
export function movingAverage(
	times: readonly number[],
	values: readonly (number | null)[],
	windowMs: number
): (number | null)[] {
	let first = 0;
	let sum = 0;
	let known = 0;
	return times.map((time, at) => {
		const value = values[at] ?? null;
		if (value !== null) {
			sum += value;
			known += 1;
		}
		while (times[first]! <= time - windowMs) {
			const old = values[first] ?? null;
			if (old !== null) {
				sum -= old;
				known -= 1;
			}
			first += 1;
		}
		if (value === null || known === 0) return null;
		return sum / known;
	});
}

/** The growth of a counter until each time, per second; null where it began anew, and after a gap. */
export function ratePerSecond(
	times: readonly number[],
	totals: readonly (number | null)[]
): (number | null)[] {
	return times.map((time, at) => {
		const before = totals[at - 1] ?? null;
		const now = totals[at] ?? null;
		const seconds = (time - (times[at - 1] ?? time)) / 1000;
		if (before === null || now === null || seconds <= 0 || now < before) return null;
		return (now - before) / seconds;
	});
}

/** Rows with a null between two that are further apart than `stepMs`, so that lines have a gap there. */
export function withGaps<T>(
	rows: readonly T[],
	timeOf: (row: T) => number,
	stepMs: number
): { time: number; row: T | null }[] {
	return rows.flatMap((row, at) => {
		const time = timeOf(row);
		const before = at > 0 ? timeOf(rows[at - 1]!) : time;
		const point = { time, row };
		return time - before > 1.5 * stepMs ? [{ time: before + stepMs, row: null }, point] : [point];
	});
}

/** The same for the same data, and different for different data: what a chart shows, exactly. */
export function fingerprint(times: readonly number[], lines: readonly Line[]): string {
	return [times.join(), ...lines.map(({ label, values }) => `${label}:${values.join()}`)].join('|');
}

export interface LineSummary {
	now: number;
	least: number;
	most: number;
}

/** The last value, the least and the largest; null if there is none. */
export function summarize(values: readonly (number | null)[]): LineSummary | null {
	let summary: LineSummary | null = null;
	for (const value of values) {
		if (value === null) continue;
		summary = summary
			? {
					now: value,
					least: Math.min(summary.least, value),
					most: Math.max(summary.most, value)
				}
			: { now: value, least: value, most: value };
	}
	return summary;
}

const FACTORS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512] as const;

/** The distance of the marks of a scale of bytes up to `top`: at most four of them, at powers of two. */
export function byteStep(top: number): number {
	const least = Math.max(top, 4) / 4;
	const unit = 1024 ** Math.floor(Math.log(least) / Math.log(1024));
	return (FACTORS.find((factor) => factor * unit >= least) ?? 1024) * unit;
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const TIME_STEPS_MS = [
	...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND_MS),
	...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE_MS),
	...[1, 2, 3, 4, 6, 12].map((n) => n * HOUR_MS),
	...[1, 2, 5, 10].map((n) => n * DAY_MS)
];

/**
 * The marks of a scale of time: round times of day, about `most` of them at most.
 *
 * @param offsetMs of the time of day that people read, behind that of the scale
 */
export function timeMarks(from: number, to: number, most: number, offsetMs: number): number[] {
	if (to <= from) return [from];
	const step = TIME_STEPS_MS.find((one) => (to - from) / one <= most) ?? (to - from) / most;
	const marks: number[] = [];
	for (let at = Math.ceil((from - offsetMs) / step) * step + offsetMs; at <= to; at += step) {
		marks.push(at);
	}
	return marks;
}

/** `14:05:09`, `14:05`, `03-01 14:05`: as exact as the time between the first and the last makes useful. */
export function formatMoment(ms: number, spanMs: number): string {
	const date = new Date(ms);
	const two = (value: number) => String(value).padStart(2, '0');
	const time = `${two(date.getHours())}:${two(date.getMinutes())}`;
	if (spanMs <= 15 * MINUTE_MS) return `${time}:${two(date.getSeconds())}`;
	if (spanMs <= 26 * HOUR_MS) return time;
	return `${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`;
}
