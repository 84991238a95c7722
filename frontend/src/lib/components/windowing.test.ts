import { expect, it } from 'vitest';
import { scrollTopFor, windowOf } from './windowing';

it('draws what can be seen and a little more', () => {
	expect(windowOf(20_000, 28, 0, 560)).toEqual({ from: 0, to: 32 });
	expect(windowOf(20_000, 28, 28_000, 560)).toEqual({ from: 988, to: 1_032 });
	expect(windowOf(20_000, 28, 20_000 * 28 - 560, 560)).toEqual({ from: 19_968, to: 20_000 });
});

it('draws all of a short list, and nothing of an empty one', () => {
	expect(windowOf(3, 28, 0, 560)).toEqual({ from: 0, to: 3 });
	expect(windowOf(0, 28, 0, 560)).toEqual({ from: 0, to: 0 });
	expect(windowOf(5, 28, 10_000, 560)).toEqual({ from: 5, to: 5 });
});

it('scrolls only as far as needed', () => {
	expect(scrollTopFor(3, 28, 0, 560)).toBe(0);
	expect(scrollTopFor(2, 28, 280, 560)).toBe(56);
	expect(scrollTopFor(30, 28, 0, 560)).toBe(31 * 28 - 560);
});
