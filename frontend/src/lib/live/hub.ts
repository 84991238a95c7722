/**
 * The stream of events that all tabs of a browser share.
 *
 *   tab ─┐ join, seen, leave                     ┌─ GET /v1/events (token a)
 *   tab ─┼──────────────────► Hub ── Channel ────┤
 *   tab ─┘ ◄────────────────── news, live, reset └─ GET /v1/events (token b)
 *
 * HTTP/1.1 allows six connections to a server, so one stream per tab would leave nothing for requests. Tabs with the same
 * token share a channel; its stream is open while one of them can be seen, and goes on after the last event it had. A channel
 * without tabs is forgotten.
 */
import { refusalIn, type ApiError } from '../api/errors';
import { followEvents } from '../streams/event-feed';
import type { ServerEvent } from '../streams/sse';
import type { ServerNews, ToTab } from './protocol';

/** Asks the server for the events behind one; an empty id asks for those from now on. */
export type OpenStream = (
	token: string,
	lastId: string,
	signal: AbortSignal
) => Promise<ReadableStream<Uint8Array>>;

/** A tab, as the hub knows it. */
export interface Tab {
	send: (message: ToTab) => void;
}

/** Switching between two tabs is not worth a new stream. */
const UNSEEN_FOR_MS = 5_000;

export class Hub {
	readonly #open: OpenStream;
	readonly #channels = new Map<string, Channel>();
	readonly #channelOf = new Map<Tab, Channel>();

	constructor(open: OpenStream) {
		this.#open = open;
	}

	join(tab: Tab, token: string, isVisible: boolean): void {
		if (this.#channelOf.get(tab)?.token !== token) this.leave(tab);
		let channel = this.#channels.get(token);
		if (channel === undefined) {
			channel = new Channel(token, this.#open);
			this.#channels.set(token, channel);
		}
		this.#channelOf.set(tab, channel);
		channel.add(tab, isVisible);
	}

	seen(tab: Tab, isVisible: boolean): void {
		this.#channelOf.get(tab)?.add(tab, isVisible);
	}

	leave(tab: Tab): void {
		const channel = this.#channelOf.get(tab);
		if (channel === undefined) return;
		this.#channelOf.delete(tab);
		channel.remove(tab);
		if (channel.isEmpty) this.#channels.delete(channel.token);
	}
}

class Channel {
	readonly token: string;
	readonly #open: OpenStream;
	readonly #isVisible = new Map<Tab, boolean>();
	#stream: AbortController | undefined;
	#closing: ReturnType<typeof setTimeout> | undefined;
	#lastId = '';
	#isLive = false;

	constructor(token: string, open: OpenStream) {
		this.token = token;
		this.#open = open;
	}

	get isEmpty(): boolean {
		return this.#isVisible.size === 0;
	}

	add(tab: Tab, isVisible: boolean): void {
		if (!this.#isVisible.has(tab)) tab.send({ kind: 'live', isLive: this.#isLive });
		this.#isVisible.set(tab, isVisible);
		this.#update();
	}

	remove(tab: Tab): void {
		this.#isVisible.delete(tab);
		this.#update();
	}

	#update(): void {
		const isSeen = [...this.#isVisible.values()].includes(true);
		if (isSeen) {
			clearTimeout(this.#closing);
			this.#closing = undefined;
			if (this.#stream === undefined) void this.#follow();
		} else if (this.isEmpty) {
			this.#close();
		} else if (this.#stream !== undefined) {
			this.#closing ??= setTimeout(() => this.#close(), UNSEEN_FOR_MS);
		}
	}

	#close(): void {
		clearTimeout(this.#closing);
		this.#closing = undefined;
		this.#stream?.abort();
		this.#stream = undefined;
		this.#setLive(false);
	}

	async #follow(): Promise<void> {
		const stream = new AbortController();
		this.#stream = stream;
		await followEvents(
			{
				open: (lastId, signal) => this.#open(this.token, lastId, signal),
				onEvent: (event) => this.#take(event),
				onLost: (error) => this.#onLost(error),
				lastId: this.#lastId
			},
			stream.signal
		);
	}

	#take({ name, data, id }: ServerEvent): void {
		this.#lastId = id || this.#lastId;
		switch (name) {
			case 'ready':
				return this.#setLive(true);
			case 'reset':
				return this.#tell({ kind: 'reset' });
			// The stream ends by itself behind these.
			case 'dropped':
			case 'error':
				return;
			default:
				return this.#tell({ kind: 'news', news: JSON.parse(data) as ServerNews });
		}
	}

	#onLost(error: ApiError): 'again' | 'give up' {
		this.#setLive(false);
		const refusal = refusalIn(error);
		if (refusal === null) return 'again';
		this.#tell({ kind: 'refused', token: this.token, refusal });
		return 'give up';
	}

	#setLive(isLive: boolean): void {
		if (isLive === this.#isLive) return;
		this.#isLive = isLive;
		this.#tell({ kind: 'live', isLive });
	}

	#tell(message: ToTab): void {
		for (const tab of this.#isVisible.keys()) tab.send(message);
	}
}
