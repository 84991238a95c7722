/** What the charts of a capsule show of its measurements. */
import type { CapsuleMetrics, GuestMetrics, MetricPoint } from '../api/types';
import type { Fact } from '../components/facts';
import { formatSize, formatTicking } from '../format';
import { texts } from '../texts';
import { rangeSeconds } from './ranges';
import { movingAverage, ratePerSecond, withGaps, type Line, type LineColor } from './series';

export interface MetricsLines {
	times: number[];
	cpu: Line[];
	memory: Line[];
	disk: Line[];
	network: Line[];
}

/** The window of the moving average is this part of the range. */
const WINDOW_PART = 0.1;

export function metricsLines({ points, step_sec, range }: CapsuleMetrics): MetricsLines {
	const words = texts.stats;
	const rows = withGaps(points, (point) => point.timestamp_unix * 1000, step_sec * 1000);
	const times = rows.map(({ time }) => time);
	const valuesOf = (field: keyof MetricPoint) => rows.map(({ row }) => row?.[field] ?? null);
	const windowMs = rangeSeconds(range) * WINDOW_PART * 1000;

	const line = (
		label: string,
		values: (number | null)[],
		format: Line['format'],
		color: LineColor
	): Line => ({ label, values, format, color });
	const withAverage = (one: Line): Line[] => [
		one,
		{
			...one,
			label: words.averageOf(formatTicking(windowMs)),
			values: movingAverage(times, one.values, windowMs),
			color: 'soft',
			isFaint: true
		}
	];
	const rate = (field: 'net_in_bytes' | 'net_out_bytes') => ratePerSecond(times, valuesOf(field));
	const perSecond = (value: number) => words.perSecond(formatSize(value));
	return {
		times,
		cpu: withAverage(line(words.cpuUsed, valuesOf('cpu_pct'), words.percent, 'buff')),
		memory: withAverage(line(words.memoryUsed, valuesOf('mem_bytes'), formatSize, 'moving')),
		disk: [line(words.diskUsed, valuesOf('disk_bytes'), formatSize, 'asleep')],
		network: [
			line(words.received, rate('net_in_bytes'), perSecond, 'live'),
			line(words.sent, rate('net_out_bytes'), perSecond, 'buff')
		]
	};
}

/** The figures of the capsule's own kernel. */
export function guestFacts(guest: GuestMetrics): Fact[] {
	const { guestFacts: names, usedOf } = texts.stats;
	const loads = [guest.load_1m, guest.load_5m, guest.load_15m];
	const fact = (label: string, value: string): Fact => ({ kind: 'text', label, value });
	return [
		fact(names.memory, usedOf(formatSize(guest.mem_used_bytes), formatSize(guest.mem_total_bytes))),
		fact(names.cached, formatSize(guest.mem_cached_bytes)),
		fact(names.load, loads.map((load) => load.toFixed(2)).join(' · ')),
		fact(names.disk, usedOf(formatSize(guest.disk_used_bytes), formatSize(guest.disk_total_bytes)))
	];
}
