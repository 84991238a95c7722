/** The time to wait before the next look. */

const SETTLED_MS = 4_000;
const SETTLING_MS = 1_000;
const LONGEST_MS = 15_000;
/** For facts that no news tells, such as the time of the last use, and for news that were lost. */
const TOLD_MS = 30_000;

/**
 * @param isSettling whether something will change soon
 * @param failures how many looks in a row have failed
 * @param isTold whether news say when to look
 */
export function pollIntervalMs(isSettling: boolean, failures: number, isTold: boolean): number {
	if (failures > 0) return Math.min(SETTLING_MS * 2 ** failures, LONGEST_MS);
	if (isTold) return isSettling ? SETTLED_MS : TOLD_MS;
	return isSettling ? SETTLING_MS : SETTLED_MS;
}
