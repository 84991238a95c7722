import { expect, it } from 'vitest';
import { rangeBetween } from './selection';
import { Selection } from './selection.svelte';

const order = ['a', 'b', 'c', 'd'];

it('rangeBetween goes in both directions', () => {
	expect(rangeBetween(order, 'b', 'd')).toEqual(['b', 'c', 'd']);
	expect(rangeBetween(order, 'c', 'a')).toEqual(['a', 'b', 'c']);
	expect(rangeBetween(order, 'b', 'b')).toEqual(['b']);
});

it('rangeBetween is one row where the other is not shown', () => {
	expect(rangeBetween(order, null, 'c')).toEqual(['c']);
	expect(rangeBetween(order, 'gone', 'c')).toEqual(['c']);
});

it('a range becomes what its end becomes', () => {
	const selection = new Selection();
	const chosen = () => order.filter((id) => selection.has(id));
	selection.set('a', true, null);
	selection.set('d', true, order);
	expect(chosen()).toEqual(order);
	selection.set('b', false, null);
	selection.set('c', false, order);
	expect(chosen()).toEqual(['a', 'd']);
	selection.setAll(order, true);
	expect(chosen()).toEqual(order);
	selection.clear();
	expect(chosen()).toEqual([]);
});
