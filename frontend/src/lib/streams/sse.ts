/**
 * Server-sent events over `fetch`, since an `EventSource` cannot send the session's token.
 *
 * Only what this server sends is understood: `event`, `data` and comments; ids and retry times are not.
 */

export interface ServerEvent {
	/** `message` if the server names none. */
	name: string;
	data: string;
}

/** Puts events together from text that is cut anywhere. */
export class EventParser {
	#rest = '';
	#name = '';
	#data: string[] = [];

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
		return [];
	}

	#dispatch(): ServerEvent[] {
		const isEvent = this.#name !== '' || this.#data.length > 0;
		const event = { name: this.#name || 'message', data: this.#data.join('\n') };
		this.#name = '';
		this.#data = [];
		return isEvent ? [event] : [];
	}
}

/** The events of an answer, until the server ends it. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
	const parser = new EventParser();
	const decoder = new TextDecoder();
	const reader = body.getReader();
	try {
		for (;;) {
			const { done, value } = await reader.read();
			if (done) return;
			yield* parser.push(decoder.decode(value, { stream: true }));
		}
	} finally {
		await reader.cancel().catch(() => undefined);
	}
}
