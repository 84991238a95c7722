/** The idle time after which a capsule is paused: how it is written, and what can be sent. */
import { limits } from '../api/limits';
import { parseWholeNumber } from '../forms/whole-number';
import { texts } from '../texts';

const UNITS = [
	['d', 86_400],
	['h', 3_600],
	['m', 60],
	['s', 1]
] as const;

/** `never`, `45s`, `1h 30m`: exactly, for it was somebody's choice. */
export function formatTimeout(seconds: number): string {
	if (seconds === 0) return texts.capsule.never;
	let rest = seconds;
	return UNITS.flatMap(([unit, size]) => {
		const whole = Math.floor(rest / size);
		rest -= whole * size;
		return whole === 0 ? [] : [`${whole}${unit}`];
	}).join(' ');
}

/** Returns the typed text as seconds, or what is wrong with it. */
export function parseTimeout(text: string): { value: number } | { problem: string } {
	return parseWholeNumber(text, texts.capsule.fields.timeout, limits.SetTimeoutRequest.timeout_sec);
}
