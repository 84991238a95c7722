import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { RecipeFaults } from '../api/types';

const asked: { recipe: string; answer: (faults: RecipeFaults) => void; fail: () => void }[] = [];
vi.mock('./service', () => ({
	checkBuild: (recipe: string) =>
		new Promise((answer, reject) => {
			asked.push({ recipe, answer, fail: () => reject(new TypeError('no network')) });
		})
}));

const { RecipeCheck } = await import('./recipe-check.svelte');

const fault = (line: number): RecipeFaults => ({
	recipe: [{ line, instruction: null, message: 'no instruction' }],
	healthcheck: null
});

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
	vi.useRealTimers();
	asked.length = 0;
});

const type = async (check: InstanceType<typeof RecipeCheck>, ...recipes: string[]) => {
	for (const recipe of recipes) {
		check.look(recipe, '');
		await vi.advanceTimersByTimeAsync(100);
	}
};

it('asks once for what was typed without a pause', async () => {
	const check = new RecipeCheck();
	await type(check, 'R', 'RN', 'RNU');
	expect(asked).toHaveLength(0);
	await vi.advanceTimersByTimeAsync(500);
	expect(asked.map(({ recipe }) => recipe)).toEqual(['RNU']);
	asked[0]?.answer(fault(1));
	await vi.advanceTimersByTimeAsync(0);
	expect(check.faults).toEqual(fault(1));
});

it('drops the answer to an earlier text, in whatever order they come', async () => {
	const check = new RecipeCheck();
	await type(check, 'RNU');
	await vi.advanceTimersByTimeAsync(500);
	await type(check, 'RUN true\nRNU');
	await vi.advanceTimersByTimeAsync(500);
	asked[1]?.answer(fault(2));
	asked[0]?.answer(fault(1));
	await vi.advanceTimersByTimeAsync(0);
	expect(check.faults).toEqual(fault(2));
});

it('says nothing of an empty form, and nothing when the check fails', async () => {
	const check = new RecipeCheck();
	await type(check, 'RNU');
	await vi.advanceTimersByTimeAsync(500);
	asked[0]?.answer(fault(1));
	await vi.advanceTimersByTimeAsync(0);
	await type(check, '');
	expect(check.faults.recipe).toEqual([]);
	await type(check, 'RNU');
	await vi.advanceTimersByTimeAsync(500);
	asked[1]?.fail();
	await vi.advanceTimersByTimeAsync(0);
	expect(check.faults.recipe).toEqual([]);
});
