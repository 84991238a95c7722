import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Page } from '../api/errors';
import { PolledPages, STEP, type PageQuery } from './pages.svelte';

interface Item {
	id: string;
	created_at: string;
}

/** A list of as many items as the test says; the token of a page is the place at which it begins. */
class Items extends PolledPages<Item> {
	readonly asked: PageQuery[] = [];

	constructor(readonly total: number) {
		super();
	}

	protected override page(query: PageQuery): Promise<Page<Item>> {
		this.asked.push(query);
		const from = Number(query.after ?? 0);
		const to = Math.min(from + query.limit, this.total);
		const items = Array.from({ length: to - from }, (_, at) => ({
			id: `${from + at}`,
			created_at: new Date((this.total - from - at) * 1_000).toISOString()
		}));
		return Promise.resolve({ items, next: to < this.total ? String(to) : null });
	}

	override forget(): void {
		super.forget();
	}
}

const listeners = { addEventListener: () => undefined, removeEventListener: () => undefined };
beforeEach(() => {
	vi.useFakeTimers();
	vi.stubGlobal('document', { visibilityState: 'visible', ...listeners });
});
afterEach(() => {
	vi.unstubAllGlobals();
	vi.useRealTimers();
});
const settle = () => vi.advanceTimersByTimeAsync(0);

it('reads the newest first, and older ones when they are wanted', async () => {
	const items = new Items(STEP + 10);
	const release = items.watch();
	await settle();
	expect(items.asked).toEqual([{ limit: STEP }]);
	expect(items.items).toHaveLength(STEP);
	expect(items.hasMore).toBe(true);

	items.want(2 * STEP);
	expect(items.isLoadingMore).toBe(true);
	await settle();
	expect(items.items.map(({ id }) => id)).toEqual(
		Array.from({ length: STEP + 10 }, (_, at) => String(at))
	);
	expect(items.hasMore).toBe(false);
	expect(items.isLoadingMore).toBe(false);
	release();
});

it('reads all of a long list in pages that the server allows', async () => {
	const items = new Items(2_300);
	items.want(Infinity);
	const release = items.watch();
	await settle();
	expect(items.asked).toEqual([
		{ limit: 1_000 },
		{ limit: 1_000, after: '1000' },
		{ limit: 1_000, after: '2000' }
	]);
	expect(items.items).toHaveLength(2_300);
	release();
});

it('asks for nothing when fewer are wanted, or all are known', async () => {
	const items = new Items(10);
	const release = items.watch();
	await settle();
	items.want(Infinity);
	items.want(STEP);
	await settle();
	expect(items.asked).toHaveLength(1);
	release();
});

it('begins anew for somebody else', async () => {
	const items = new Items(STEP + 10);
	items.want(Infinity);
	const release = items.watch();
	await settle();
	items.forget();
	expect(items.items).toEqual([]);
	await settle();
	expect(items.items).toHaveLength(STEP);
	release();
});
