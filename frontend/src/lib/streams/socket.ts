/**
 * A WebSocket of the API: JSON text frames, of which the first one carries the session's token,
 * since a browser cannot send headers with it.
 *
 *   open ──► auth, first frame ──► frames … ──► closed (once, whoever began it)
 *
 * The server sends a ping at least every 30 s. Silence for longer than that means that the connection
 * is gone without anybody having told the browser; it is closed then, and whoever owns it decides
 * what comes next.
 */
import { session } from '../session/session.svelte';

const SILENT_FOR_MS = 65_000;

export type Frame = { type: string } & Record<string, unknown>;

export interface SocketEvents {
	onFrame: (frame: Frame) => void;
	/** `reason` is what the server said, or what is known. */
	onClose: (reason: string) => void;
}

export class FrameSocket {
	readonly #socket: WebSocket;
	readonly #events: SocketEvents;
	#isOver = false;
	#silence: ReturnType<typeof setTimeout> | undefined;

	/**
	 * @param path of the API, such as `/v1/capsules/…/pty`
	 * @param first what is sent after the token, if anything
	 */
	constructor(path: string, first: Frame | null, events: SocketEvents) {
		this.#events = events;
		const url = new URL(path, location.href);
		url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
		this.#socket = new WebSocket(url);
		this.#socket.onopen = () => {
			this.send({ type: 'auth', token: session.current?.token ?? '' });
			if (first) this.send(first);
		};
		this.#socket.onmessage = ({ data }) => this.#receive(data);
		this.#socket.onclose = ({ reason }) => this.#end(reason || 'the connection was cut');
		this.#listen();
	}

	/** Drops a frame that cannot be sent: the end of the connection is told anyway. */
	send(frame: Frame): void {
		if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
	}

	/** Ends it without a word to its owner. */
	close(): void {
		this.#isOver = true;
		clearTimeout(this.#silence);
		this.#socket.close();
	}

	#receive(data: unknown): void {
		if (this.#isOver) return;
		this.#listen();
		const frame = parseFrame(data);
		if (frame && frame.type !== 'ping') this.#events.onFrame(frame);
	}

	#listen(): void {
		clearTimeout(this.#silence);
		this.#silence = setTimeout(() => {
			this.#socket.close();
			this.#end('the server was silent for too long');
		}, SILENT_FOR_MS);
	}

	#end(reason: string): void {
		if (this.#isOver) return;
		this.#isOver = true;
		clearTimeout(this.#silence);
		this.#events.onClose(reason);
	}
}

/** A frame, or null for what is none; later servers may say more than this page understands. */
export function parseFrame(data: unknown): Frame | null {
	if (typeof data !== 'string') return null;
	try {
		const value: unknown = JSON.parse(data);
		const isFrame =
			typeof value === 'object' &&
			value !== null &&
			'type' in value &&
			typeof value.type === 'string';
		return isFrame ? (value as Frame) : null;
	} catch {
		return null;
	}
}
