import { expect, it } from 'vitest';
import { directionOf, reordered, sorted, type Order } from './table';

type Key = 'name' | 'size';

it('turns the order around with a second click, and begins anew with another column', () => {
	const byName: Order<Key> = { key: 'name', isDescending: false };
	const turned = reordered(byName, 'name');
	expect(turned).toEqual({ key: 'name', isDescending: true });
	expect(reordered(turned, 'size')).toEqual({ key: 'size', isDescending: false });
	expect(directionOf(turned, 'name')).toBe('descending');
	expect(directionOf(turned, 'size')).toBeNull();
});

it('sorts a copy, and leaves equal items as they come', () => {
	const items = [
		{ name: 'b', size: 1 },
		{ name: 'a', size: 2 },
		{ name: 'c', size: 1 }
	];
	const orders = {
		name: (a: (typeof items)[0], b: (typeof items)[0]) => a.name.localeCompare(b.name),
		size: (a: (typeof items)[0], b: (typeof items)[0]) => a.size - b.size
	};
	const names = (order: Order<Key>) => sorted(items, order, orders).map(({ name }) => name);
	expect(names({ key: 'size', isDescending: false })).toEqual(['b', 'c', 'a']);
	expect(names({ key: 'name', isDescending: true })).toEqual(['c', 'b', 'a']);
	expect(items[0]?.name).toBe('b');
});
