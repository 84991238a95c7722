import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { UserSearch } from './user-search.svelte';

const get = vi.hoisted(() => vi.fn());
vi.mock('../api/client', () => ({ api: { GET: get } }));

const ada = { user_id: 'usr-1', name: 'Ada', email: 'ada@example.org' };
const answer = (...users: unknown[]) => ({ data: users, response: new Response() });

beforeEach(() => {
	vi.useFakeTimers();
	get.mockReset();
});
afterEach(() => void vi.useRealTimers());

it('asks once, when the typing pauses, and not for less than three characters', async () => {
	get.mockResolvedValue(answer(ada));
	const search = new UserSearch();
	search.look('ad');
	await vi.advanceTimersByTimeAsync(500);
	expect(get).not.toHaveBeenCalled();
	for (const text of ['ada', 'ada@', 'ada@ex']) search.look(text);
	expect(search.state).toBe('searching');
	await vi.advanceTimersByTimeAsync(500);
	expect(get).toHaveBeenCalledOnce();
	expect(search.found).toEqual([ada]);
});

it('does not take the answer to what was typed before', async () => {
	let late: (value: unknown) => void = () => undefined;
	get.mockReturnValueOnce(new Promise((resolve) => (late = resolve)));
	const search = new UserSearch();
	search.look('ada');
	await vi.advanceTimersByTimeAsync(300);
	get.mockResolvedValue(answer());
	search.look('bob');
	await vi.advanceTimersByTimeAsync(300);
	late(answer(ada));
	await vi.advanceTimersByTimeAsync(0);
	expect(search.found).toEqual([]);
	expect(search.state).toBe('done');
});

it('says that it failed', async () => {
	get.mockRejectedValue(new TypeError('no network'));
	const search = new UserSearch();
	search.look('ada');
	await vi.advanceTimersByTimeAsync(300);
	expect(search.state).toBe('failed');
});
