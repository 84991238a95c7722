/** How long to wait before the next look. */

const SETTLED_MS = 4_000;
const SETTLING_MS = 1_000;
const LONGEST_MS = 15_000;

/**
 * @param isSettling whether something will change soon
 * @param failures how many looks in a row have failed
 */
export function pollIntervalMs(isSettling: boolean, failures: number): number {
	if (failures > 0) return Math.min(SETTLING_MS * 2 ** failures, LONGEST_MS);
	return isSettling ? SETTLING_MS : SETTLED_MS;
}
