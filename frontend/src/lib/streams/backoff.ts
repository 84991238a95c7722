/** The time to wait before the next try. */

const FIRST_MS = 500;
const LONGEST_MS = 15_000;
/** Clients that were cut off together shall not come back together. */
const JITTER = 0.25;

/**
 * @param failures how many tries in a row have failed, at least 1
 * @param random from 0 up to 1
 */
export function backoffMs(failures: number, random: number = Math.random()): number {
	const base = Math.min(FIRST_MS * 2 ** Math.min(failures - 1, 10), LONGEST_MS);
	return Math.round(base * (1 - JITTER + 2 * JITTER * random));
}
