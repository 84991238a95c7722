import { expect, it } from 'vitest';
import type { CapsuleMetrics } from '../api/types';
import { guestFigures, metricsLines } from './metrics-lines';

function metrics(seconds: readonly number[]): CapsuleMetrics {
	return {
		sandbox_id: 'cl-1',
		range: '5m',
		step_sec: 1,
		source: 'live',
		points: seconds.map((second) => ({
			timestamp_unix: second,
			cpu_pct: second,
			mem_bytes: 1024,
			disk_bytes: 2048,
			net_in_bytes: second * 100,
			net_out_bytes: 0
		}))
	};
}

it('draws what was measured, with averages over a tenth of the range', () => {
	const { times, cpu, network } = metricsLines(metrics([1, 2, 3]));
	expect(times).toEqual([1000, 2000, 3000]);
	expect(cpu.map(({ label }) => label)).toEqual(['CPU used', 'average over 30 s']);
	expect(cpu.map(({ values }) => values)).toEqual([
		[1, 2, 3],
		[1, 1.5, 2]
	]);
	expect(network.map(({ values }) => values)).toEqual([
		[null, 100, 100],
		[null, 0, 0]
	]);
});

it('leaves a gap where the capsule did not run', () => {
	const { times, memory, network } = metricsLines(metrics([1, 2, 60, 61]));
	expect(times).toEqual([1000, 2000, 3000, 60_000, 61_000]);
	expect(memory[0]?.values).toEqual([1024, 1024, null, 1024, 1024]);
	expect(network[0]?.values).toEqual([null, 100, null, null, 100]);
});

it('guestFigures says how much of what is used', () => {
	const guest = {
		mem_total_bytes: 512 * 1024 * 1024,
		mem_used_bytes: 24 * 1024 * 1024,
		mem_cached_bytes: 0,
		load_1m: 0.5,
		load_5m: 0.25,
		load_15m: 0,
		disk_total_bytes: 5 * 1024 ** 3,
		disk_used_bytes: 1024 ** 3
	};
	expect(guestFigures(guest).map(({ value, text }) => `${value} ${text}`)).toEqual([
		'24 MB of 512 MB',
		'0 B of files, given back when needed',
		'0.50 0.25 in 5 min, 0.00 in 15 min',
		'1.0 GB of 5.0 GB'
	]);
});
