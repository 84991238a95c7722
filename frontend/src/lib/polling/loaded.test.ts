import { expect, it } from 'vitest';
import { ApiError } from '../api/errors';
import { events } from '../events';
import { Loaded } from './loaded.svelte';

/** Questions that the test answers, in the order in which they were asked. */
class Numbers extends Loaded<number> {
	readonly questions: {
		signal: AbortSignal;
		answer: (value: number) => void;
		fail: (error: unknown) => void;
	}[] = [];

	protected override ask(signal: AbortSignal): Promise<number> {
		return new Promise((answer, fail) => this.questions.push({ signal, answer, fail }));
	}
}

it('takes only the answer to the latest question', async () => {
	const numbers = new Numbers();
	const first = numbers.load();
	const second = numbers.load();
	expect(numbers.isLoading).toBe(true);
	expect(numbers.questions[0]?.signal.aborted).toBe(true);
	numbers.questions[1]?.answer(2);
	numbers.questions[0]?.answer(1);
	await Promise.all([first, second]);
	expect(numbers.value).toBe(2);
	expect(numbers.isLoading).toBe(false);
});

it('keeps what was known beside what went wrong, until it goes well again', async () => {
	const numbers = new Numbers();
	const load = async (end: (at: number) => void) => {
		const loading = numbers.load();
		end(numbers.questions.length - 1);
		await loading;
	};
	await load((at) => numbers.questions[at]?.answer(1));
	await load((at) => numbers.questions[at]?.fail(new ApiError('overloaded', 'later', 503)));
	expect(numbers.value).toBe(1);
	expect(numbers.error?.code).toBe('overloaded');
	await load((at) => numbers.questions[at]?.answer(3));
	expect(numbers.value).toBe(3);
	expect(numbers.error).toBeNull();
});

it('forgets everything with the session, also what is on its way', async () => {
	const numbers = new Numbers();
	const loading = numbers.load();
	events.emit('session:changed', undefined);
	numbers.questions[0]?.answer(1);
	await loading;
	expect(numbers.isLoaded).toBe(false);
	expect(numbers.isLoading).toBe(false);
});
