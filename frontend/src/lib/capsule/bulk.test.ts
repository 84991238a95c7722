import { describe, expect, it } from 'vitest';
import { bulkReport, forEachLimited, planBulk } from './bulk';
import { capsule } from './testing';

describe('planBulk', () => {
	const chosen = [
		capsule({ id: 'cl-a' }),
		capsule({ id: 'cl-b', status: 'paused' }),
		capsule({ id: 'cl-c', status: 'paused' }),
		capsule({ id: 'cl-d' })
	];
	const asked = (id: string) => (id === 'cl-d' ? ('pausing' as const) : null);

	it('leaves out what cannot do it, with the reasons', () => {
		expect(planBulk('pause', chosen, asked)).toEqual({
			act: 'pause',
			ids: ['cl-a'],
			leftOut: [
				{ why: 'It is paused already.', count: 2 },
				{ why: 'It is busy: pausing.', count: 1 }
			]
		});
		expect(planBulk('resume', chosen, asked).ids).toEqual(['cl-b', 'cl-c']);
	});

	it('destroys all of them', () => {
		expect(planBulk('destroy', chosen, asked)).toMatchObject({
			ids: ['cl-a', 'cl-b', 'cl-c', 'cl-d'],
			leftOut: []
		});
	});
});

describe('forEachLimited', () => {
	it('does a few at a time, and tells in order', async () => {
		let running = 0;
		let most = 0;
		const results = await forEachLimited([5, 1, 4, 2, 3, 0], 4, async (item) => {
			most = Math.max(most, ++running);
			await new Promise((resolve) => setTimeout(resolve, item));
			running -= 1;
			return item * 2;
		});
		expect(results).toEqual([10, 2, 8, 4, 6, 0]);
		expect(most).toBe(4);
	});

	it('does nothing with nothing', async () => {
		expect(await forEachLimited([], 4, () => Promise.reject(new Error()))).toEqual([]);
	});
});

describe('bulkReport', () => {
	it('counts what succeeded', () => {
		expect(bulkReport('destroy', [{ id: 'a', failure: null }])).toBe('1 capsule is destroyed');
		const two = ['a', 'b'].map((id) => ({ id, failure: null }));
		expect(bulkReport('pause', two)).toBe('2 capsules are paused');
	});

	it('says what failed and why, once for each reason', () => {
		const outcomes = ['a', 'b', 'c', 'd', 'e'].map((id) => ({ id, failure: 'no answer' }));
		outcomes.push({ id: 'f', failure: 'quota' });
		expect(bulkReport('resume', [{ id: 'x', failure: null }, ...outcomes])).toBe(
			'1 capsule is resumed. Failed: no answer (a, b, c and 2 more); quota (f)'
		);
	});
});
