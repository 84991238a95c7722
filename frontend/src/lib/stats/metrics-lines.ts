/** The lines that the charts of a capsule show of its measurements. */
import type { CapsuleMetrics, GuestMetrics, MetricPoint } from '../api/types';
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
		color: LineColor,
		unit?: Line['unit']
	): Line => ({ label, values, format, color, unit });
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
		memory: withAverage(
			line(words.memoryUsed, valuesOf('mem_bytes'), formatSize, 'moving', 'bytes')
		),
		disk: [line(words.diskUsed, valuesOf('disk_bytes'), formatSize, 'asleep', 'bytes')],
		network: [
			line(words.received, rate('net_in_bytes'), perSecond, 'live', 'bytes'),
			line(words.sent, rate('net_out_bytes'), perSecond, 'buff', 'bytes')
		]
	};
}

export interface GuestFigure {
	title: string;
	value: string;
	text: string;
}

/** The figures of the capsule's own kernel. */
export function guestFigures(guest: GuestMetrics): GuestFigure[] {
	const { guestFacts: names, ofAll, laterLoads, inFiles } = texts.stats;
	const load = (value: number) => value.toFixed(2);
	return [
		{
			title: names.memory,
			value: formatSize(guest.mem_used_bytes),
			text: ofAll(formatSize(guest.mem_total_bytes))
		},
		{ title: names.cached, value: formatSize(guest.mem_cached_bytes), text: inFiles },
		{
			title: names.load,
			value: load(guest.load_1m),
			text: laterLoads(load(guest.load_5m), load(guest.load_15m))
		},
		{
			title: names.disk,
			value: formatSize(guest.disk_used_bytes),
			text: ofAll(formatSize(guest.disk_total_bytes))
		}
	];
}
