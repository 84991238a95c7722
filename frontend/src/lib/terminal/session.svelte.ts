/**
 * A terminal: its life, its socket and its screen.
 *
 *   keys ──► Screen ──► FrameSocket ──► server
 *              ▲             │
 *   OutputGate ┘◄── output ──┘      everything else ──► life.ts ──► what to do next
 *
 * Only `#enter` acts on a new state of its life; what belonged to the old one (socket, timer,
 * question) is ended there first, so nothing late is taken for something of the new one. Only an
 * open terminal goes on with the socket of the state before it.
 */
import { api } from '../api/client';
import { toApiError, unwrap } from '../api/errors';
import { formatSize } from '../format';
import { FrameSocket, type Frame } from '../streams/socket';
import { texts } from '../texts';
import {
	connectFrame,
	inputFrames,
	readPtyFrame,
	resizeFrame,
	startFrame,
	type Program,
	type Size
} from './frames';
import { isAlive, NEW, next, TAKEN_UP, type Life, type LifeEvent } from './life';
import { OutputGate } from './output-gate';
import { isAnswer, ReplayWatch } from './replay';
import type { Screen } from './screen';

const words = texts.terminal.says;
/** Only the capsule's status is looked at; that wakes nothing. */
const ASLEEP_LOOK_MS = 3_000;

export class TerminalSession {
	readonly capsuleId: string;
	readonly tag: string;
	readonly program: Program;
	#life = $state.raw<Life>(NEW);
	#title = $state('');
	#pid = $state<number | null>(null);
	#hasSelection = $state(false);
	#size = $state.raw<Size>({ cols: 80, rows: 24 });
	#dueAtMs = $state(0);
	/** Something of note that is not the end, such as a mistake of ours that the server mentions. */
	#notice = $state<string | null>(null);
	#screen = $state.raw<Screen | null>(null);
	#socket: FrameSocket | undefined;
	#timer: ReturnType<typeof setTimeout> | undefined;
	#check: AbortController | undefined;
	#gate = new OutputGate();
	readonly #replay = new ReplayWatch();
	/** True if the screen shows something of this session, which a replay would show again. */
	#hasOutput = false;
	#isClosed = false;
	/** Moves the keyboard to where the page wants it when it leaves the terminal. */
	onLeave: () => void = () => undefined;

	private constructor(capsuleId: string, tag: string, program: Program) {
		this.capsuleId = capsuleId;
		this.tag = tag;
		this.program = program;
	}

	/** Starts a program in a new terminal. */
	static start(capsuleId: string, program: Program): TerminalSession {
		const session = new TerminalSession(capsuleId, newTag(), program);
		void session.#begin(NEW);
		return session;
	}

	/** Takes up a terminal that runs. */
	static connect(capsuleId: string, tag: string, program: Program): TerminalSession {
		const session = new TerminalSession(capsuleId, tag, program);
		void session.#begin(TAKEN_UP);
		return session;
	}

	get life(): Life {
		return this.#life;
	}

	/** The name that the program gives itself, else the command. */
	get title(): string {
		return this.#title || this.program.cmd || 'bash';
	}

	get pid(): number | null {
		return this.#pid;
	}

	get screen(): Screen | null {
		return this.#screen;
	}

	get hasSelection(): boolean {
		return this.#hasSelection;
	}

	get size(): Size {
		return this.#size;
	}

	/** When it tries again, while it waits. */
	get dueAtMs(): number {
		return this.#dueAtMs;
	}

	get notice(): string | null {
		return this.#notice;
	}

	get isAlive(): boolean {
		return isAlive(this.#life);
	}

	/** Does now what it waits for: something has changed, or somebody is impatient. */
	hurry(): void {
		if (this.#life.kind === 'asleep') void this.#look();
		else this.#happen({ kind: 'due' });
	}

	/** Kills the program; its exit follows. */
	kill(): void {
		this.#socket?.send({ type: 'kill' });
	}

	/** Lets go of it; the program runs on. */
	close(): void {
		this.#isClosed = true;
		this.#leave();
		this.#socket?.close();
		this.#replay.end();
		this.#screen?.dispose();
	}

	async #begin(life: Life): Promise<void> {
		const { Screen } = await import('./screen');
		const screen = await Screen.create({
			onInput: (data) => this.#type(data),
			onBytes: (data) => this.#send(Uint8Array.from(data, (char) => char.charCodeAt(0))),
			onResize: (size) => this.#resize(size),
			onTitle: (title) => (this.#title = title),
			onSelect: (hasSelection) => (this.#hasSelection = hasSelection),
			onLeave: () => this.onLeave()
		});
		if (this.#isClosed) {
			screen.dispose();
			return;
		}
		this.#screen = screen;
		// The page shows the screen first, so that the program starts in the size that it will have.
		setTimeout(() => {
			if (!this.#isClosed) this.#enter(life);
		});
	}

	#happen(event: LifeEvent): void {
		if (this.#isClosed) return;
		const life = next(this.#life, event);
		if (life !== this.#life) this.#enter(life);
	}

	#enter(life: Life): void {
		this.#leave();
		this.#life = life;
		if (life.kind !== 'open') {
			this.#socket?.close();
			this.#socket = undefined;
		}
		switch (life.kind) {
			case 'connecting':
				this.#connect(life.by);
				break;
			case 'checking':
				void this.#look();
				break;
			case 'waiting':
				this.#dueAtMs = Date.now() + life.delayMs;
				this.#timer = setTimeout(() => this.#happen({ kind: 'due' }), life.delayMs);
				break;
			case 'ended':
				this.#say(words.exit(life.exitCode));
				break;
			case 'asleep':
				this.#lookLater();
				break;
			case 'open':
			case 'lost':
				break;
		}
	}

	#leave(): void {
		clearTimeout(this.#timer);
		this.#check?.abort();
	}

	#connect(by: 'start' | 'connect'): void {
		const first =
			by === 'start' ? startFrame(this.tag, this.program, this.#size) : connectFrame(this.tag);
		this.#socket = new FrameSocket(`/v1/capsules/${this.capsuleId}/pty`, first, {
			onFrame: (frame) => this.#receive(frame),
			onClose: (reason) => this.#happen({ kind: 'dropped', reason })
		});
	}

	#receive(frame: Frame): void {
		const event = readPtyFrame(frame);
		switch (event?.kind) {
			case 'started':
				this.#pid = event.pid;
				this.#open();
				break;
			case 'output':
				this.#draw(event.bytes);
				break;
			case 'dropped':
				this.#say(words.notKept(formatSize(event.bytes)));
				// Whatever fills the screen draws it anew when its size changes.
				this.#nudge();
				break;
			case 'exited':
				this.#happen({ kind: 'exited', exitCode: event.code });
				break;
			case 'failed':
				this.#fail(event.message, event.end);
				break;
			case undefined:
				break;
		}
	}

	#open(): void {
		if (this.#life.kind === 'connecting' && this.#life.by === 'connect') {
			if (this.#hasOutput) this.#screen?.reset();
			this.#replay.begin();
			// The terminal may have had another size when it was left.
			this.#socket?.send(resizeFrame(this.#size));
		}
		this.#notice = null;
		this.#happen({ kind: 'started' });
	}

	#fail(reason: string, end: 'none' | 'passing' | 'final'): void {
		if (end === 'none') this.#notice = reason;
		else this.#happen({ kind: end === 'passing' ? 'dropped' : 'refused', reason });
	}

	#draw(bytes: Uint8Array): void {
		const screen = this.#screen;
		if (!screen || !this.#gate.admit(bytes.length)) return;
		this.#hasOutput = true;
		screen.write(bytes, () => {
			this.#replay.quietFromNow();
			const leftOutBytes = this.#gate.drawn(bytes.length);
			if (leftOutBytes > 0) this.#say(words.tooFast(formatSize(leftOutBytes)));
		});
	}

	#type(data: string): void {
		if (this.#replay.isReplaying && isAnswer(data)) return;
		this.#send(new TextEncoder().encode(data));
	}

	#send(bytes: Uint8Array): void {
		if (this.#life.kind !== 'open') return;
		for (const frame of inputFrames(bytes)) this.#socket?.send(frame);
	}

	#resize(size: Size): void {
		this.#size = size;
		if (this.#life.kind === 'open') this.#socket?.send(resizeFrame(size));
	}

	#nudge(): void {
		const { cols, rows } = this.#size;
		this.#socket?.send(resizeFrame({ cols, rows: rows + 1 }));
		this.#socket?.send(resizeFrame({ cols, rows }));
	}

	/** A line of ours between those of the program. */
	#say(text: string): void {
		this.#screen?.write(`\x1b[0m\r\n\x1b[90m[${text}]\x1b[0m\r\n`);
	}

	/** Looks whether the capsule runs. */
	async #look(): Promise<void> {
		this.#leave();
		const check = new AbortController();
		this.#check = check;
		const params = { path: { id: this.capsuleId } };
		let event: LifeEvent;
		try {
			const call = api.GET('/v1/capsules/{id}', { params, signal: check.signal });
			const { status, operation } = await unwrap(call);
			event = { kind: 'capsule', status: operation ?? status };
		} catch (thrown) {
			const { status, message } = toApiError(thrown);
			const isGone = status === 404 || status === 401 || status === 403;
			event = { kind: isGone ? 'gone' : 'unreachable', reason: message };
		}
		if (check.signal.aborted) return;
		const before = this.#life;
		this.#happen(event);
		if (before.kind === 'asleep' && this.#life === before) this.#lookLater();
	}

	#lookLater(): void {
		this.#timer = setTimeout(() => void this.#look(), ASLEEP_LOOK_MS);
	}
}

const TAG_BYTES = 6;

function newTag(): string {
	const bytes = crypto.getRandomValues(new Uint8Array(TAG_BYTES));
	return `term-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}
