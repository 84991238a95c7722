import { expect, it } from 'vitest';
import { expiresAt, expiryState } from './expiry';

const now = Date.parse('2026-11-30T12:00:00Z');

it('counts days from now', () => {
	expect(expiresAt('never', '', now)).toBeUndefined();
	expect(expiresAt('week', '', now)).toBe('2026-12-07T12:00:00.000Z');
	expect(expiresAt('quarter', '2020-01-01', now)).toBe('2027-02-28T12:00:00.000Z');
});

it('takes a day to its end, and only one that is not over', () => {
	const end = expiresAt('date', '2026-12-24', now);
	expect(end).toBe(new Date(2026, 11, 24, 23, 59, 59).toISOString());
	for (const day of ['', '2026-11-28', '2027-02-30', 'soon']) {
		expect(expiresAt('date', day, now)).toBeNull();
	}
});

it('marks what ends within a week, and what has ended', () => {
	expect(expiryState(null, now)).toBe('never');
	expect(expiryState('2026-12-08T12:00:00Z', now)).toBe('later');
	expect(expiryState('2026-12-07T12:00:00Z', now)).toBe('soon');
	expect(expiryState('2026-11-30T12:00:00Z', now)).toBe('expired');
});
