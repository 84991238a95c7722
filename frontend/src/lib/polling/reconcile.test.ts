import { describe, expect, it } from 'vitest';
import { isSame, reconcile } from './reconcile';

const one = { id: 'cl-1', status: 'running', metadata: { a: '1' } };
const two = { id: 'cl-2', status: 'paused', metadata: {} };

describe('reconcile', () => {
	it('returns the very same list if nothing changed', () => {
		const previous = [one, two];
		expect(reconcile(previous, structuredClone(previous))).toBe(previous);
	});

	it('replaces only the item that changed', () => {
		const merged = reconcile([one, two], [structuredClone(one), { ...two, status: 'running' }]);
		expect(merged[0]).toBe(one);
		expect(merged[1]).toEqual({ ...two, status: 'running' });
	});

	it('follows additions, removals and a new order', () => {
		const three = { id: 'cl-3', status: 'pending', metadata: {} };
		expect(reconcile([one, two], [three, structuredClone(one)])).toEqual([three, one]);
		expect(reconcile([one, two], [structuredClone(two), structuredClone(one)])).toEqual([two, one]);
		expect(reconcile([one, two], [structuredClone(one)])).toEqual([one]);
	});
});

describe('isSame', () => {
	it('looks into objects and lists', () => {
		expect(isSame({ a: [1, { b: null }] }, { a: [1, { b: null }] })).toBe(true);
		expect(isSame({ a: 1, b: 2 }, { b: 2, a: 1 })).toBe(true);
	});

	it('tells absent from null and lists from objects', () => {
		expect(isSame({ a: null }, {})).toBe(false);
		expect(isSame({ a: undefined }, { b: undefined })).toBe(false);
		expect(isSame([], {})).toBe(false);
		expect(isSame(null, {})).toBe(false);
	});
});
