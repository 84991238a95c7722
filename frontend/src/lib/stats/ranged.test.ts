import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Ranged } from './ranged.svelte';

type Range = 'short' | 'long';
interface Answer {
	range: Range;
	values: number[];
}

class Asked extends Ranged<Range, Answer> {
	readonly asked: Range[] = [];
	answer: (range: Range) => Promise<Answer> = (range) => Promise.resolve({ range, values: [1] });

	constructor() {
		super({
			range: 'short',
			intervalsMs: { short: 10_000, long: 60_000 },
			concerns: () => false
		});
	}
	protected override ask(range: Range): Promise<Answer> {
		this.asked.push(range);
		return this.answer(range);
	}
	override forget(): void {
		super.forget();
	}
}

beforeEach(() => {
	vi.useFakeTimers();
	const listen = () => undefined;
	const visible = {
		visibilityState: 'visible',
		addEventListener: listen,
		removeEventListener: listen
	};
	vi.stubGlobal('document', visible);
});
afterEach(() => {
	vi.unstubAllGlobals();
	vi.useRealTimers();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

it('looks as often as the range makes worth it', async () => {
	const stats = new Asked();
	const release = stats.watch();
	await pass(20_000);
	expect(stats.asked).toEqual(['short', 'short', 'short']);
	stats.choose('long');
	await pass(59_999);
	expect(stats.asked).toHaveLength(4);
	await pass(1);
	expect(stats.asked).toHaveLength(5);
	release();
	await pass(600_000);
	expect(stats.asked).toHaveLength(5);
});

it('never lets a late answer stand for another range', async () => {
	const stats = new Asked();
	stats.answer = async (range) => {
		await new Promise((resolve) => setTimeout(resolve, range === 'long' ? 5_000 : 100));
		return { range, values: [range.length] };
	};
	const release = stats.watch();
	await pass(100);
	stats.choose('long');
	expect(stats.isPending).toBe(true);
	expect(stats.value?.range).toBe('short');
	stats.choose('short');
	await pass(100);
	expect(stats.isPending).toBe(false);
	await pass(9_000);
	expect(stats.value?.range).toBe('short');
	release();
});

it('keeps the object of an unchanged answer', async () => {
	const stats = new Asked();
	const release = stats.watch();
	await pass(0);
	const before = stats.value;
	await pass(10_000);
	expect(stats.asked).toHaveLength(2);
	expect(stats.value).toBe(before);
	release();
});

it('shows an error beside the same range, and in place of another', async () => {
	const stats = new Asked();
	const release = stats.watch();
	await pass(0);
	stats.answer = () => Promise.reject(new TypeError('no connection'));
	await pass(10_000);
	expect(stats.error?.code).toBe('unreachable');
	expect(stats.value?.range).toBe('short');
	await pass(2_000);
	expect(stats.asked).toHaveLength(3);
	stats.choose('long');
	expect(stats.error).toBeNull();
	await pass(0);
	expect(stats.value).toBeNull();
	expect(stats.error?.code).toBe('unreachable');
	release();
});

it('forgets', async () => {
	const stats = new Asked();
	const release = stats.watch();
	await pass(0);
	stats.answer = () => new Promise(() => undefined);
	stats.forget();
	expect(stats.value).toBeNull();
	release();
});
