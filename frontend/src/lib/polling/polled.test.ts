import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { newestFirst, PolledList } from './polled.svelte';

interface Item {
	id: string;
	created_at: string;
	isMoving?: boolean;
}

class Items extends PolledList<Item> {
	answer: () => Promise<Item[]> = () => Promise.resolve([]);
	asked = 0;

	protected override list(): Promise<Item[]> {
		this.asked += 1;
		return this.answer();
	}
	protected override compare(a: Item, b: Item): number {
		return newestFirst(a, b);
	}
	protected override isSettling(): boolean {
		return this.items.some(({ isMoving }) => isMoving);
	}
	override add(item: Item): void {
		super.add(item);
	}
	override replace(item: Item): void {
		super.replace(item);
	}
	override remove(id: string): void {
		super.remove(id);
	}
	override forget(): void {
		super.forget();
	}
}

const old = { id: 'old', created_at: '2026-01-01' };
const young = { id: 'young', created_at: '2026-02-02' };

beforeEach(() => {
	vi.useFakeTimers();
	vi.stubGlobal('document', { visibilityState: 'visible', ...listeners });
});
const listeners = { addEventListener: () => undefined, removeEventListener: () => undefined };
afterEach(() => {
	vi.unstubAllGlobals();
	vi.useRealTimers();
});

const settle = () => vi.advanceTimersByTimeAsync(0);

it('lists in its order, and keeps what did not change', async () => {
	const items = new Items();
	items.answer = () => Promise.resolve([{ ...old }, { ...young }]);
	expect(items.isLoaded).toBe(false);
	const release = items.watch();
	await settle();
	expect(items.items).toEqual([young, old]);
	const known = items.items;
	await vi.advanceTimersByTimeAsync(4_000);
	expect(items.asked).toBe(2);
	expect(items.items).toBe(known);
	release();
	await vi.advanceTimersByTimeAsync(60_000);
	expect(items.asked).toBe(2);
});

it('keeps what was known beside an error, and asks ever more seldom', async () => {
	const items = new Items();
	items.answer = () => Promise.resolve([{ ...old }]);
	const release = items.watch();
	await settle();
	items.answer = () => Promise.reject(new TypeError('no connection'));
	await vi.advanceTimersByTimeAsync(4_000);
	expect(items.error?.code).toBe('unreachable');
	expect(items.items).toEqual([old]);
	await vi.advanceTimersByTimeAsync(1_999);
	expect(items.asked).toBe(2);
	items.answer = () => Promise.resolve([]);
	await vi.advanceTimersByTimeAsync(1);
	expect(items.error).toBeNull();
	expect(items.items).toEqual([]);
	release();
});

it('looks often while something moves', async () => {
	const items = new Items();
	items.answer = () => Promise.resolve([{ ...old, isMoving: true }]);
	const release = items.watch();
	await vi.advanceTimersByTimeAsync(3_000);
	expect(items.asked).toBe(4);
	release();
});

it('takes changes from elsewhere at once, but no part for the whole', async () => {
	const items = new Items();
	items.add(young);
	expect(items.isLoaded).toBe(false);
	items.answer = () => Promise.resolve([{ ...old }]);
	const release = items.watch();
	await settle();
	items.answer = () => new Promise(() => undefined);
	items.add(young);
	expect(items.items).toEqual([young, old]);
	items.replace({ ...young, isMoving: true });
	items.replace({ ...young, id: 'unknown' });
	expect(items.items).toEqual([{ ...young, isMoving: true }, old]);
	items.remove('old');
	expect(items.items.map(({ id }) => id)).toEqual(['young']);
	items.forget();
	expect(items.isLoaded).toBe(false);
	release();
});
