/** The usage that can be shown, in units that people read, and the days that are asked for. */
import type { UsagePoint } from '../api/types';
import { texts } from '../texts';

export type Measure = 'cpu' | 'memory' | 'disk' | 'templates';

export const MEASURES: readonly Measure[] = ['cpu', 'memory', 'disk', 'templates'];
export const RANGES: readonly number[] = [7, 30, 90];
const DEFAULT_RANGE = 30;

const MB_MINUTES_PER_GB_HOUR = 1024 * 60;
const DAY_MS = 24 * 3_600_000;

const READERS: Record<Measure, (point: UsagePoint) => number> = {
	cpu: (point) => point.cpu_minutes,
	memory: (point) => point.ram_mb_minutes / MB_MINUTES_PER_GB_HOUR,
	disk: (point) => point.disk_mb_minutes / MB_MINUTES_PER_GB_HOUR,
	templates: (point) => point.template_mb_minutes / MB_MINUTES_PER_GB_HOUR
};

/** In the unit of the measure. */
export function valueOf(measure: Measure, point: UsagePoint): number {
	return READERS[measure](point);
}

export function unitOf(measure: Measure): string {
	return measure === 'cpu' ? texts.usage.units.cpuMinutes : texts.usage.units.gbHours;
}

export function totalOf(measure: Measure, points: readonly UsagePoint[]): number {
	return points.reduce((sum, point) => sum + valueOf(measure, point), 0);
}

/** `0`, `0.04`, `3.1`, `128`, `12,345`: as many digits as say something. */
export function formatAmount(value: number): string {
	if (value === 0) return '0';
	if (value < 0.01) return '<0.01';
	const digits = value < 1 ? 2 : value < 100 ? 1 : 0;
	return value.toLocaleString('en', { maximumFractionDigits: digits });
}

/** The least of 1, 2 or 5 times a power of ten that is not below the largest value; 1 if there is none. */
export function scaleOf(values: readonly number[]): number {
	const largest = Math.max(0, ...values);
	if (largest === 0) return 1;
	const power = 10 ** Math.floor(Math.log10(largest));
	const step = [1, 2, 5, 10].find((each) => each * power >= largest * (1 - 1e-9)) ?? 10;
	return step * power;
}

/** The first and the last day of a range that ends today; days are those of UTC. */
export function daysOf(range: number, nowMs: number): { from: string; to: string } {
	const day = (ms: number) => new Date(ms).toISOString().slice(0, 10);
	return { from: day(nowMs - (range - 1) * DAY_MS), to: day(nowMs) };
}

export interface UsageView {
	range: number;
	measure: Measure;
}

/** The view that the address of the page asks for; defaults replace what is missing or unknown. */
export function viewFrom(params: URLSearchParams): UsageView {
	const range = Number(params.get('days'));
	const measure = params.get('measure') as Measure;
	return {
		range: RANGES.includes(range) ? range : DEFAULT_RANGE,
		measure: MEASURES.includes(measure) ? measure : 'cpu'
	};
}

/** The part of the address behind the path, with its question mark. */
export function searchOf({ range, measure }: UsageView): string {
	return `?days=${range}&measure=${measure}`;
}
