/** Writes quantities in a short, fixed form that is the same everywhere. */

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const YEAR_MS = 365 * DAY_MS;

/** `42s`, `5m`, `3h 20m`, `2d 4h`, `5y 12d`; a time in the future (clocks differ) counts as now. */
export function formatAge(since: string, nowMs: number): string {
	const elapsedMs = Math.max(0, nowMs - Date.parse(since));
	if (Number.isNaN(elapsedMs)) return '–';
	if (elapsedMs < MINUTE_MS) return `${Math.floor(elapsedMs / SECOND_MS)}s`;
	if (elapsedMs < HOUR_MS) return `${Math.floor(elapsedMs / MINUTE_MS)}m`;
	if (elapsedMs < DAY_MS) return twoUnits(elapsedMs, HOUR_MS, 'h', MINUTE_MS, 'm');
	if (elapsedMs < YEAR_MS) return twoUnits(elapsedMs, DAY_MS, 'd', HOUR_MS, 'h');
	return twoUnits(elapsedMs, YEAR_MS, 'y', DAY_MS, 'd');
}

/** `512 MB`, `1.5 GB`; exact in binary units, as the API counts them. */
export function formatMb(mb: number): string {
	if (mb < 1024) return `${mb} MB`;
	return `${Number((mb / 1024).toFixed(mb % 1024 === 0 ? 0 : 1))} GB`;
}

/** `212 MB`, `1.5 GB`: what files occupy; nothing means that nobody has looked. */
export function formatBytes(bytes: number): string {
	if (bytes === 0) return '–';
	return formatMb(Math.round(bytes / (1024 * 1024)));
}

/** `0 B`, `812 B`, `1.2 KB`, `34 MB`: how long a file is, in binary units. */
export function formatSize(bytes: number): string {
	const units = ['B', 'KB', 'MB', 'GB', 'TB'];
	let value = bytes;
	let unit = 0;
	// A value that would be rounded to 1024 is 1 of the next unit.
	while (Math.round(value) >= 1024 && unit < units.length - 1) {
		value /= 1024;
		unit += 1;
	}
	return `${unit > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** `35 ms`, `1.2 s`, `3m 4s`. */
export function formatDuration(ms: number): string {
	if (ms < SECOND_MS) return `${Math.round(ms)} ms`;
	if (ms < MINUTE_MS) return `${(ms / SECOND_MS).toFixed(1)} s`;
	return twoUnits(ms, MINUTE_MS, 'm', SECOND_MS, 's');
}

/** `0 s`, `35 s`, `3m 4s`: what goes on, in whole seconds. */
export function formatTicking(ms: number): string {
	const wholeMs = Math.max(0, Math.floor(ms / SECOND_MS)) * SECOND_MS;
	return wholeMs < MINUTE_MS ? `${wholeMs / SECOND_MS} s` : formatDuration(wholeMs);
}

/** `2026-03-01 14:05:09`, local time. */
export function formatTime(iso: string): string {
	const date = new Date(iso);
	if (Number.isNaN(date.getTime())) return '–';
	const two = (value: number) => String(value).padStart(2, '0');
	const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
	return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** `3 running, 1 paused`: the most frequent status first. */
export function formatStatuses(items: readonly { status: string }[]): string {
	const counts = new Map<string, number>();
	for (const { status } of items) counts.set(status, (counts.get(status) ?? 0) + 1);
	return [...counts]
		.sort(([, a], [, b]) => b - a)
		.map(([status, count]) => `${count} ${status}`)
		.join(', ');
}

function twoUnits(
	ms: number,
	bigMs: number,
	bigUnit: string,
	smallMs: number,
	smallUnit: string
): string {
	const big = Math.floor(ms / bigMs);
	const small = Math.floor((ms % bigMs) / smallMs);
	return small === 0 ? `${big}${bigUnit}` : `${big}${bigUnit} ${small}${smallUnit}`;
}
