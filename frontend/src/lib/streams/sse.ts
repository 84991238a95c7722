/**
 * Server-sent events over `fetch`, since an `EventSource` cannot send the session's token.
 *
 * Only what this server sends is understood: `event`, `data`, `id` and comments; retry times are not.
 */
import { ApiError } from '../api/errors';

/** The server says at least a word every 15 s; longer silence means that nobody is there any more. */
const SILENT_FOR_MS = 50_000;

export interface ServerEvent {
	/** `message` if the server names none. */
	name: string;
	data: string;
	/** The latest id that the server gave, with this event or before it; empty if it gave none. */
	id: string;
}

/** Puts events together from text that is cut anywhere. */
export class EventParser {
	#rest = '';
	#name = '';
	#data: string[] = [];
	#id = '';

	/** Takes the next piece and returns the events that it completes. */
	push(text: string): ServerEvent[] {
		const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
		this.#rest = lines.pop() ?? '';
		return lines.flatMap((line) => this.#take(line));
	}

	#take(line: string): ServerEvent[] {
		if (line === '') return this.#dispatch();
		const colon = line.indexOf(':');
		// A comment only keeps the connection alive.
		if (colon === 0) return [];
		const field = colon < 0 ? line : line.slice(0, colon);
		const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
		if (field === 'event') this.#name = value;
		else if (field === 'data') this.#data.push(value);
		else if (field === 'id' && !value.includes('\0')) this.#id = value;
		return [];
	}

	#dispatch(): ServerEvent[] {
		const isEvent = this.#name !== '' || this.#data.length > 0;
		const event = { name: this.#name || 'message', data: this.#data.join('\n'), id: this.#id };
		this.#name = '';
		this.#data = [];
		return isEvent ? [event] : [];
	}
}

/** The events of an answer, until the server ends it; an error if it falls silent. */
export async function* readEvents(
	body: ReadableStream<Uint8Array>,
	silentForMs = SILENT_FOR_MS
): AsyncGenerator<ServerEvent> {
	const parser = new EventParser();
	const decoder = new TextDecoder();
	const reader = body.getReader();
	try {
		for (;;) {
			const { done, value } = await within(silentForMs, reader.read());
			if (done) return;
			yield* parser.push(decoder.decode(value, { stream: true }));
		}
	} finally {
		await reader.cancel().catch(() => undefined);
	}
}

async function within<T>(ms: number, read: Promise<T>): Promise<T> {
	let timer: ReturnType<typeof setTimeout> | undefined;
	const silence = new Promise<never>((_, reject) => {
		timer = setTimeout(
			() => reject(new ApiError('unreachable', 'The server was silent for too long.', 0)),
			ms
		);
	});
	try {
		return await Promise.race([read, silence]);
	} finally {
		clearTimeout(timer);
	}
}
