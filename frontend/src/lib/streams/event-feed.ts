/**
 * Events for as long as they are wanted.
 *
 *   open ──► event, event … ──► lost ──► wait ──► open, after the last event that had an id …
 *                                └──► given up, if it makes no sense to try again
 */
import { ApiError, toApiError } from '../api/errors';
import { backoffMs } from './backoff';
import { readEvents, type ServerEvent } from './sse';

export interface EventFeed {
	/** Asks for the events that follow one; an empty id asks for all. */
	open: (lastId: string, signal: AbortSignal) => Promise<ReadableStream<Uint8Array>>;
	/** An error that it throws counts as a loss. */
	onEvent: (event: ServerEvent) => void;
	/** The connection is gone. */
	onLost: (error: ApiError) => 'again' | 'give up';
	/** The id of the last event before an earlier feed of the same events was cut off. */
	lastId?: string;
}

/** Resolves when it was aborted or given up. */
export async function followEvents(
	{ open, onEvent, onLost, lastId = '' }: EventFeed,
	signal: AbortSignal
): Promise<void> {
	let failures = 0;
	while (!signal.aborted) {
		let error: ApiError;
		try {
			for await (const event of readEvents(await open(lastId, signal))) {
				if (signal.aborted) return;
				onEvent(event);
				lastId = event.id || lastId;
				failures = 0;
			}
			error = new ApiError('unreachable', 'The server has closed the connection.', 0);
		} catch (thrown) {
			error = toApiError(thrown);
		}
		if (signal.aborted || onLost(error) === 'give up') return;
		failures += 1;
		await pause(backoffMs(failures), signal);
	}
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
	return new Promise((resolve) => {
		const timer = setTimeout(resolve, ms);
		signal.addEventListener('abort', () => {
			clearTimeout(timer);
			resolve();
		});
	});
}
