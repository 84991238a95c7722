/** When API keys end: as it is chosen in the form, and as the list marks it. */

export type ExpiryChoice = 'never' | 'week' | 'month' | 'quarter' | 'date';

const DAY_MS = 24 * 3_600_000;
const DAYS: Partial<Record<ExpiryChoice, number>> = { week: 7, month: 30, quarter: 90 };
/** A key that ends within this time is marked. */
const SOON_MS = 7 * DAY_MS;

export const EXPIRY_CHOICES: readonly ExpiryChoice[] = [
	'never',
	'week',
	'month',
	'quarter',
	'date'
];

/**
 * Returns the time at which the key ends, undefined for never, and null if the day is none or is over.
 *
 * @param day as a field of type `date` has it; it counts to its end, in local time
 */
export function expiresAt(
	choice: ExpiryChoice,
	day: string,
	nowMs: number
): string | undefined | null {
	if (choice === 'never') return undefined;
	const days = DAYS[choice];
	if (days !== undefined) return new Date(nowMs + days * DAY_MS).toISOString();
	const endMs = endOfDay(day);
	return endMs === null || endMs <= nowMs ? null : new Date(endMs).toISOString();
}

function endOfDay(day: string): number | null {
	const match = /^(\d{4})-(\d\d)-(\d\d)$/.exec(day);
	if (!match) return null;
	const [year, month, date] = match.slice(1).map(Number) as [number, number, number];
	const end = new Date(year, month - 1, date, 23, 59, 59);
	// A day like February 30 would be one of the next month.
	return end.getDate() === date && end.getMonth() === month - 1 ? end.getTime() : null;
}

export type ExpiryState = 'never' | 'later' | 'soon' | 'expired';

export function expiryState(at: string | null, nowMs: number): ExpiryState {
	if (at === null) return 'never';
	const leftMs = Date.parse(at) - nowMs;
	if (leftMs <= 0) return 'expired';
	return leftMs <= SOON_MS ? 'soon' : 'later';
}
