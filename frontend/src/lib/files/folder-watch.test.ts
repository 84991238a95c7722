import { expect, it, vi } from 'vitest';
import { ApiError } from '../api/errors';
import { FolderWatch } from './folder-watch';

/** A server that the test speaks for. */
function server() {
	const watches: { isDeep: boolean; signal: AbortSignal; say: (text: string) => void }[] = [];
	let refusal: ApiError | null = null;
	return {
		watches,
		refuse: (error: ApiError | null) => (refusal = error),
		open: (isDeep: boolean, signal: AbortSignal) => {
			if (refusal) return Promise.reject(refusal);
			return Promise.resolve(
				new ReadableStream<Uint8Array>({
					start(controller) {
						const say = (text: string) => controller.enqueue(new TextEncoder().encode(text));
						watches.push({ isDeep, signal, say });
					}
				})
			);
		}
	};
}

function listener() {
	return { onReady: vi.fn(), onChange: vi.fn(), onOverflow: vi.fn(), onLost: vi.fn() };
}

const READY = 'event: ready\ndata: {}\n\n';
const change = (data: object) => `event: change\ndata: ${JSON.stringify(data)}\n\n`;

async function opened(watches: unknown[], count: number): Promise<void> {
	await vi.waitFor(() => expect(watches).toHaveLength(count));
}

/** A watch of the folder alone that is ready. */
async function covered() {
	const { watches, open } = server();
	const heard = listener();
	const watch = new FolderWatch(open, heard);
	await opened(watches, 1);
	watches[0]?.say(READY);
	await watch.covered();
	return { watches, heard, watch };
}

it('tells when it is ready, and what changes', async () => {
	const { watches, heard, watch } = await covered();
	expect(heard.onReady).toHaveBeenCalledWith(false);
	watches[0]?.say(change({ type: 'write', path: '/a/x' }));
	watches[0]?.say(change({ type: 'rename', path: '/a/new', from: '/a/old' }));
	watches[0]?.say(change({ type: 'overflow', path: '/a' }));
	await vi.waitFor(() => expect(heard.onOverflow).toHaveBeenCalledTimes(1));
	expect(heard.onChange.mock.calls).toEqual([[['/a/x']], [['/a/new', '/a/old']]]);
	watch.close();
	expect(watches[0]?.signal.aborted).toBe(true);
});

it('looks deeper without missing anything in between', async () => {
	const { watches, heard, watch } = await covered();
	watch.deepen();
	watch.deepen();
	await opened(watches, 2);
	expect(watches.map(({ isDeep }) => isDeep)).toEqual([false, true]);
	expect(watches[0]?.signal.aborted).toBe(false);
	watches[1]?.say(READY);
	await watch.covered();
	expect(watches[0]?.signal.aborted).toBe(true);
	expect(heard.onReady).toHaveBeenLastCalledWith(true);
	watch.close();
});

it('ends with the deeper one alone, whichever is ready first', async () => {
	const { watches, open } = server();
	const heard = listener();
	const watch = new FolderWatch(open, heard);
	watch.deepen();
	await opened(watches, 2);
	watches[1]?.say(READY);
	await watch.covered();
	expect(watches.map(({ signal }) => signal.aborted)).toEqual([true, false]);
	watch.close();
});

it('keeps the watch that it has where a deeper one is refused', async () => {
	const { watches, heard, watch } = await covered();
	watch.deepen();
	await opened(watches, 2);
	watches[1]?.say('event: error\ndata: {"code":"agent_error","message":"too many"}\n\n');
	await watch.covered();
	expect(watches[0]?.signal.aborted).toBe(false);
	expect(heard.onLost).not.toHaveBeenCalled();
	watches[0]?.say(change({ type: 'create', path: '/a/y' }));
	await vi.waitFor(() => expect(heard.onChange).toHaveBeenCalledWith(['/a/y']));
	watch.close();
});

it('does not wait for what is not there, and begins anew when asked', async () => {
	const { watches, open, refuse } = server();
	refuse(new ApiError('not_found', 'gone', 404));
	const heard = listener();
	const watch = new FolderWatch(open, heard);
	await watch.covered();
	expect(heard.onReady).not.toHaveBeenCalled();
	refuse(null);
	watch.revive();
	await opened(watches, 1);
	watches[0]?.say(READY);
	await watch.covered();
	expect(heard.onReady).toHaveBeenCalledTimes(1);
	watch.close();
});
