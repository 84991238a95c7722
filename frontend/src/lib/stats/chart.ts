/**
 * Draws lines on a canvas with Chart.js, of which only the parts for lines are taken. This module is loaded by
 * the first chart of a page, and by nothing else.
 *
 * Nothing moves by itself: a chart that grows every ten seconds would never stand still.
 */
import {
	Chart,
	Filler,
	LinearScale,
	LineController,
	LineElement,
	PointElement,
	Tooltip,
	type ChartDataset,
	type Point
} from 'chart.js';
import { byteStep, formatMoment, summarize, timeMarks, type Line, type LineColor } from './series';

Chart.register(LineController, LineElement, PointElement, LinearScale, Filler, Tooltip);

/** The room that the name of a moment needs. */
const LABEL_PX = 96;

/** The margin around a value that is the only one. */
const ALONE_MS = 1_000;

export interface ChartContent {
	/** Milliseconds since 1970, ascending. */
	times: readonly number[];
	lines: readonly Line[];
	/** The least value at the top of the scale, by side. */
	leastTop: { left?: number; right?: number };
}

type LineDataset = ChartDataset<'line', Point[]>;

export class LineChart {
	readonly #chart: Chart<'line', Point[]>;
	#content: ChartContent;

	constructor(canvas: HTMLCanvasElement, content: ChartContent) {
		this.#content = content;
		const colors = readTheme(canvas);
		const moment = (ms: number) => formatMoment(ms, this.#spanMs);
		const axis = (side: 'left' | 'right') => ({
			type: 'linear' as const,
			position: side,
			beginAtZero: true,
			grid: { color: colors.line, drawOnChartArea: side === 'left', drawTicks: false },
			border: { display: false },
			ticks: {
				color: colors.faint,
				font: { family: colors.font, size: 11 },
				maxTicksLimit: 5,
				padding: 6,
				callback: (value: number | string) => this.#format(side, Number(value))
			}
		});
		this.#chart = new Chart<'line', Point[]>(canvas, {
			type: 'line',
			data: { datasets: this.#datasets(colors) },
			options: {
				animation: false,
				responsive: true,
				maintainAspectRatio: false,
				parsing: false,
				normalized: true,
				interaction: { mode: 'index', intersect: false, axis: 'x' },
				layout: { padding: { top: 4 } },
				scales: {
					x: {
						type: 'linear',
						grid: { display: false },
						border: { color: colors.line },
						afterBuildTicks: (scale) => {
							const most = Math.max(2, Math.floor(scale.width / LABEL_PX));
							scale.ticks = timeMarks(scale.min, scale.max, most, offsetMs()).map((value) => ({
								value
							}));
						},
						ticks: {
							color: colors.faint,
							font: { family: colors.font, size: 11 },
							maxRotation: 0,
							autoSkip: false,
							callback: (value) => moment(Number(value))
						}
					},
					left: axis('left'),
					...(content.lines.some(({ isOnRight }) => isOnRight) ? { right: axis('right') } : {})
				},
				plugins: {
					tooltip: {
						backgroundColor: colors.panel,
						borderColor: colors.edge,
						borderWidth: 1,
						titleColor: colors.faint,
						bodyColor: colors.text,
						titleFont: { family: colors.font, size: 11, weight: 'normal' },
						bodyFont: { family: colors.font, size: 12 },
						padding: 8,
						boxWidth: 8,
						boxHeight: 8,
						cornerRadius: 4,
						callbacks: {
							title: (items) => moment(items[0]?.parsed.x ?? 0),
							label: ({ dataset, datasetIndex, parsed }) => {
								const line = this.#content.lines[datasetIndex];
								const value = parsed.y;
								return ` ${dataset.label}: ${value === null || !line ? '–' : line.format(value)}`;
							}
						}
					}
				}
			}
		});
		this.#scale();
		this.#chart.update('none');
	}

	/** Draws other values of the same lines. */
	draw(content: ChartContent): void {
		this.#content = content;
		const { datasets } = this.#chart.data;
		content.lines.forEach(({ label, values }, at) => {
			const dataset = datasets[at];
			const data = pointsOf(content.times, values);
			if (dataset) Object.assign(dataset, { label, data, pointRadius: radiiOf(values) });
		});
		this.#scale();
		this.#chart.update('none');
	}

	destroy(): void {
		this.#chart.destroy();
	}

	get #spanMs(): number {
		const { times } = this.#content;
		return (times.at(-1) ?? 0) - (times[0] ?? 0);
	}

	#scale(): void {
		const { times, leastTop } = this.#content;
		const { scales } = this.#chart.options;
		// A chart without a span would be drawn around nothing.
		const first = times[0] ?? 0;
		const last = times.at(-1) ?? 0;
		const margin = first === last ? ALONE_MS : 0;
		Object.assign(scales?.x ?? {}, { min: first - margin, max: last + margin });
		for (const side of ['left', 'right'] as const) {
			const scale = scales?.[side];
			if (!scale) continue;
			const lines = this.#linesOf(side);
			const unit = lines[0]?.unit;
			if (unit === 'bytes') {
				const tops = lines.map(({ values }) => summarize(values)?.most ?? 0);
				const top = Math.max(leastTop[side] ?? 0, ...tops);
				const step = byteStep(top);
				Object.assign(scale, { max: Math.max(1, Math.ceil(top / step)) * step });
				Object.assign(scale.ticks ?? {}, { stepSize: step });
			} else {
				Object.assign(scale, { suggestedMax: leastTop[side] });
				if (unit === 'things') Object.assign(scale.ticks ?? {}, { precision: 0 });
			}
		}
	}

	#linesOf(side: 'left' | 'right'): Line[] {
		return this.#content.lines.filter(({ isOnRight = false }) => isOnRight === (side === 'right'));
	}

	#format(side: 'left' | 'right', value: number): string {
		return this.#linesOf(side)[0]?.format(value) ?? String(value);
	}

	#datasets(colors: Theme): LineDataset[] {
		const { times, lines } = this.#content;
		return lines.map(({ label, values, color, isFaint = false, isOnRight = false }, at) => ({
			label,
			data: pointsOf(times, values),
			yAxisID: isOnRight ? 'right' : 'left',
			borderColor: colors[color],
			backgroundColor: faded(colors[color]),
			hoverBackgroundColor: colors[color],
			hoverBorderColor: colors[color],
			pointBackgroundColor: colors[color],
			pointHoverBackgroundColor: colors[color],
			pointHoverBorderColor: colors[color],
			borderWidth: isFaint ? 1 : 1.75,
			// Often the two lines of a chart with two scales are the same; both must be seen.
			borderDash: isOnRight ? [5, 5] : [],
			order: isOnRight ? 0 : 1,
			borderJoinStyle: 'round',
			fill: at === 0 && !isFaint && lines.every((line) => !line.isOnRight) ? 'origin' : false,
			tension: 0,
			pointRadius: radiiOf(values),
			pointHoverRadius: 3,
			pointHitRadius: 8,
			spanGaps: false
		}));
	}
}

// A value that is no number is a gap.
function pointsOf(times: readonly number[], values: Line['values']): Point[] {
	return times.map((x, at) => ({ x, y: values[at] ?? NaN }));
}

// A value between two gaps is no line; it must show all the same.
function radiiOf(values: Line['values']): number[] {
	const isGap = (at: number) => (values[at] ?? null) === null;
	return values.map((_, at) => (isGap(at - 1) && isGap(at + 1) ? 1.5 : 0));
}

/** The time by which a day begins later here than in the count of milliseconds. */
function offsetMs(): number {
	return new Date().getTimezoneOffset() * 60_000;
}

type Theme = Record<LineColor | 'line' | 'edge' | 'faint' | 'text' | 'panel' | 'font', string>;

/** The colours of the page: a canvas knows nothing of its variables. */
function readTheme(element: Element): Theme {
	const style = getComputedStyle(element);
	const read = (name: string) => style.getPropertyValue(name).trim();
	const color = (name: string) => read(`--color-${name}`);
	return {
		buff: color('buff'),
		moving: color('moving'),
		live: color('live'),
		asleep: color('asleep'),
		soft: color('soft'),
		line: color('line'),
		edge: color('edge'),
		faint: color('faint'),
		text: color('text'),
		panel: color('panel'),
		font: read('--font-sans')
	};
}

function faded(color: string): string {
	return `color-mix(in oklab, ${color} 12%, transparent)`;
}
