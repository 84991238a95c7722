import { expect, it } from 'vitest';
import { daysOf, formatAmount, scaleOf, searchOf, totalOf, valueOf, viewFrom } from './measures';

const point = {
	date: '2026-11-30',
	cpu_minutes: 90,
	ram_mb_minutes: 1024 * 60 * 3,
	disk_mb_minutes: 512 * 60,
	template_mb_minutes: 0
};

it('counts memory and disks in gigabytes times hours', () => {
	expect(valueOf('cpu', point)).toBe(90);
	expect(valueOf('memory', point)).toBe(3);
	expect(totalOf('disk', [point, point])).toBe(1);
});

it('writes as many digits as say something', () => {
	expect([0, 0.004, 0.125, 3.14159, 128.4, 12_345.6].map(formatAmount)).toEqual([
		'0',
		'<0.01',
		'0.13',
		'3.1',
		'128',
		'12,346'
	]);
});

it('has a round end of its scale', () => {
	expect(scaleOf([])).toBe(1);
	expect(scaleOf([0, 0])).toBe(1);
	expect(scaleOf([3, 17])).toBe(20);
	expect(scaleOf([100])).toBe(100);
	expect(scaleOf([0.03])).toBeCloseTo(0.05);
	expect(scaleOf([5_001])).toBe(10_000);
});

it('asks for days of UTC, today among them', () => {
	const now = Date.parse('2026-12-01T00:30:00Z');
	expect(daysOf(7, now)).toEqual({ from: '2026-11-25', to: '2026-12-01' });
});

it('takes from the address only what exists', () => {
	expect(viewFrom(new URLSearchParams('days=90&measure=disk'))).toEqual({
		range: 90,
		measure: 'disk'
	});
	expect(viewFrom(new URLSearchParams('days=1000&measure=gold'))).toEqual({
		range: 30,
		measure: 'cpu'
	});
	expect(searchOf({ range: 7, measure: 'memory' })).toBe('?days=7&measure=memory');
});
