/**
 * Values over time, and what charts need of them.
 *
 * A value is null where nothing was measured; the line has a gap there.
 */

/** One line of a chart: values at the times of the chart, which are milliseconds since 1970. */
export interface Line {
	label: string;
	values: readonly (number | null)[];
	/** How a value is written. */
	format: (value: number) => string;
	color: LineColor;
	/** Drawn behind the others, thin. */
	isFaint?: boolean;
	/** The scale on the other side, where two lines have nothing in common. */
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

/** How fast a counter grew until each time, per second; null where it began anew, and after a gap. */
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

const NICE = [1, 2, 5, 10, 20, 50, 100, 200, 500] as const;

/** The distance of the marks of a scale of bytes up to `top`: about four of them, at round numbers of KB, MB or GB. */
export function byteStep(top: number): number {
	const least = Math.max(top, 4) / 4;
	const unit = 1024 ** Math.floor(Math.log(least) / Math.log(1024));
	return (NICE.find((factor) => factor * unit >= least) ?? 1024) * unit;
}

/** `14:05:09`, `14:05`, `03-01 14:05`: as exact as the time between the first and the last makes useful. */
export function formatMoment(ms: number, spanMs: number): string {
	const date = new Date(ms);
	const two = (value: number) => String(value).padStart(2, '0');
	const time = `${two(date.getHours())}:${two(date.getMinutes())}`;
	if (spanMs <= 15 * 60_000) return `${time}:${two(date.getSeconds())}`;
	if (spanMs <= 26 * 3_600_000) return time;
	return `${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`;
}
