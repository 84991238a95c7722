import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ApiError } from '../api/errors';
import { followEvents, type EventFeed } from './event-feed';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const text = (events: string) =>
	new Blob([events]).stream() as unknown as ReadableStream<Uint8Array>;

/** A feed whose answers are these, the last one for ever after. */
function feed(answers: (string | Error)[], change: Partial<EventFeed> = {}) {
	const asked: string[] = [];
	const seen: string[] = [];
	const lost: string[] = [];
	const made: EventFeed = {
		open: (lastId) => {
			asked.push(lastId);
			const answer = answers[Math.min(asked.length, answers.length) - 1] ?? '';
			return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(text(answer));
		},
		onEvent: ({ data }) => void seen.push(data),
		onLost: ({ code }) => {
			lost.push(code);
			return lost.length < 3 ? 'again' : 'give up';
		},
		...change
	};
	return { made, asked, seen, lost };
}

async function run(made: EventFeed, signal = new AbortController().signal): Promise<void> {
	const end = followEvents(made, signal);
	await vi.runAllTimersAsync();
	await end;
}

it('goes on after the last id', async () => {
	const { made, asked, seen } = feed(['id: 1\ndata: a\n\ndata: b\n\n', 'data: c\n\n', '']);
	await run(made);
	expect(asked).toEqual(['', '1', '1']);
	expect(seen).toEqual(['a', 'b', 'c']);
});

it('begins where an earlier one was cut off', async () => {
	const { made, asked } = feed([''], { lastId: '9', onLost: () => 'give up' });
	await run(made);
	expect(asked).toEqual(['9']);
});

it('says why it was lost', async () => {
	const { made, lost } = feed([new TypeError('x'), new ApiError('not_found', 'gone', 404), '']);
	await run(made);
	expect(lost).toEqual(['unreachable', 'not_found', 'unreachable']);
});

it('takes an event that is refused for a loss, and asks for it again', async () => {
	const { made, asked } = feed(['id: 1\ndata: a\n\n'], {
		onEvent: () => {
			throw new ApiError('bad_response', 'nonsense', 0);
		}
	});
	await run(made);
	expect(asked).toEqual(['', '', '']);
});

it('ends when it is not wanted any more, also while it waits', async () => {
	const abort = new AbortController();
	const { made, asked, lost } = feed([''], { onLost: () => 'again' });
	const end = followEvents(made, abort.signal);
	await vi.advanceTimersByTimeAsync(0);
	abort.abort();
	await end;
	expect(asked).toEqual(['']);
	expect(lost).toEqual([]);
	await followEvents(made, abort.signal);
	expect(asked).toEqual(['']);
});
