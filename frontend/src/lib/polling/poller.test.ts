import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Poller } from './poller';

const INTERVAL_MS = 1000;

/** A page whose visibility the test decides. */
class FakePage extends EventTarget {
	visibilityState: DocumentVisibilityState = 'visible';

	turn(state: DocumentVisibilityState) {
		this.visibilityState = state;
		this.dispatchEvent(new Event('visibilitychange'));
	}
}

/** A task whose runs are answered by the test, in whatever order it likes. */
function setUp() {
	const page = new FakePage();
	const runs: { signal: AbortSignal; answer: (v: string) => void; fail: (e: Error) => void }[] = [];
	const results: string[] = [];
	const errors: unknown[] = [];
	const poller = new Poller<string>({
		task: (signal) =>
			new Promise((answer, fail) => {
				runs.push({ signal, answer, fail });
			}),
		onResult: (value) => results.push(value),
		onError: (error) => errors.push(error),
		intervalMs: () => INTERVAL_MS,
		visibility: page
	});
	const run = (index: number) => {
		const found = runs[index];
		if (!found) throw new Error(`run ${index} was not started`);
		return found;
	};
	const answer = async (index: number, value: string) => {
		run(index).answer(value);
		await vi.advanceTimersByTimeAsync(0);
	};
	return { page, poller, run, runs, results, errors, answer };
}

describe('Poller', () => {
	beforeEach(() => void vi.useFakeTimers());
	afterEach(() => void vi.useRealTimers());

	it('does nothing until somebody holds it', async () => {
		const { runs } = setUp();
		await vi.advanceTimersByTimeAsync(10 * INTERVAL_MS);
		expect(runs).toHaveLength(0);
	});

	it('runs at once, then again an interval after each answer', async () => {
		const { poller, runs, results, answer } = setUp();
		poller.acquire();
		expect(runs).toHaveLength(1);

		await vi.advanceTimersByTimeAsync(10 * INTERVAL_MS);
		expect(runs).toHaveLength(1);

		await answer(0, 'a');
		expect(results).toEqual(['a']);
		await vi.advanceTimersByTimeAsync(INTERVAL_MS - 1);
		expect(runs).toHaveLength(1);
		await vi.advanceTimersByTimeAsync(1);
		expect(runs).toHaveLength(2);
	});

	it('is shared by its holders and stops with the last of them', async () => {
		const { poller, run, runs, answer } = setUp();
		const releaseFirst = poller.acquire();
		const releaseSecond = poller.acquire();
		expect(runs).toHaveLength(1);
		await answer(0, 'a');

		releaseFirst();
		releaseFirst();
		await vi.advanceTimersByTimeAsync(INTERVAL_MS);
		expect(runs).toHaveLength(2);

		releaseSecond();
		expect(run(1).signal.aborted).toBe(true);
		await vi.advanceTimersByTimeAsync(10 * INTERVAL_MS);
		expect(runs).toHaveLength(2);
	});

	it('drops an answer that arrives after the last release', async () => {
		const { poller, results, answer } = setUp();
		poller.acquire()();
		await answer(0, 'late');
		expect(results).toEqual([]);
	});

	it('drops the answer that a refresh has overtaken', async () => {
		const { poller, run, results, answer } = setUp();
		poller.acquire();
		poller.refresh();
		expect(run(0).signal.aborted).toBe(true);

		await answer(1, 'new');
		await answer(0, 'old');
		expect(results).toEqual(['new']);
	});

	it('stops while the tab is hidden and asks again when it is shown', async () => {
		const { page, poller, run, runs, results, answer } = setUp();
		poller.acquire();
		page.turn('hidden');
		expect(run(0).signal.aborted).toBe(true);

		await answer(0, 'stale');
		poller.refresh();
		await vi.advanceTimersByTimeAsync(10 * INTERVAL_MS);
		expect(runs).toHaveLength(1);
		expect(results).toEqual([]);

		page.turn('visible');
		expect(runs).toHaveLength(2);
		await answer(1, 'fresh');
		expect(results).toEqual(['fresh']);
	});

	it('starts only when shown if it was acquired while hidden', () => {
		const { page, poller, runs } = setUp();
		page.turn('hidden');
		poller.acquire();
		expect(runs).toHaveLength(0);
		page.turn('visible');
		expect(runs).toHaveLength(1);
	});

	it('goes on after an error', async () => {
		const { poller, run, runs, errors } = setUp();
		poller.acquire();
		run(0).fail(new Error('no'));
		await vi.advanceTimersByTimeAsync(0);
		expect(errors).toHaveLength(1);
		await vi.advanceTimersByTimeAsync(INTERVAL_MS);
		expect(runs).toHaveLength(2);
	});

	it('hides the error of a run that it aborted itself', async () => {
		const { poller, run, errors } = setUp();
		poller.acquire();
		poller.refresh();
		run(0).fail(new DOMException('given up', 'AbortError'));
		await vi.advanceTimersByTimeAsync(0);
		expect(errors).toEqual([]);
	});

	it('looks once for many news, and not before the look in flight has ended', async () => {
		const { poller, runs, results, answer } = setUp();
		poller.acquire();
		for (let i = 0; i < 50; i += 1) {
			poller.refreshSoon();
			await vi.advanceTimersByTimeAsync(100);
		}
		expect(runs).toHaveLength(1);
		await answer(0, 'before');
		expect(results).toEqual(['before']);
		await vi.advanceTimersByTimeAsync(INTERVAL_MS / 2);
		expect(runs).toHaveLength(2);
		await answer(1, 'after');
		poller.refreshSoon();
		poller.refreshSoon();
		await vi.advanceTimersByTimeAsync(INTERVAL_MS / 2);
		expect(runs).toHaveLength(3);
	});

	it('hears no news while nobody looks', async () => {
		const { page, poller, runs } = setUp();
		poller.acquire();
		page.turn('hidden');
		poller.refreshSoon();
		await vi.advanceTimersByTimeAsync(10 * INTERVAL_MS);
		expect(runs).toHaveLength(1);
	});
});
