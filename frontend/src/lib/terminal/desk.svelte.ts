/**
 * The terminals that are open on the page of one capsule, and which one is looked at.
 *
 * Their tags are kept for the browser's tab, so a page that is loaded again takes them up again.
 */
import { arrange, type Running } from './arrangement';
import type { Program } from './frames';
import { TerminalSession } from './session.svelte';

export class TerminalDesk {
	readonly #capsuleId: string;
	#sessions = $state.raw<readonly TerminalSession[]>([]);
	#current = $state.raw<TerminalSession | null>(null);
	#isArranged = false;

	constructor(capsuleId: string) {
		this.#capsuleId = capsuleId;
	}

	get sessions(): readonly TerminalSession[] {
		return this.#sessions;
	}

	get current(): TerminalSession | null {
		return this.#current;
	}

	has(tag: string): boolean {
		return this.#sessions.some((session) => session.tag === tag);
	}

	/** Opens what there is, once: see {@link arrange}. */
	arrange(running: readonly Running[]): void {
		if (this.#isArranged) return;
		this.#isArranged = true;
		if (this.#sessions.length > 0) return;
		const { takeUp, isNewWanted } = arrange(running, this.#remembered());
		for (const { tag, cmd } of takeUp) this.connect(tag, { cmd });
		if (isNewWanted) this.start();
	}

	start(program: Program = {}): void {
		this.#add(TerminalSession.start(this.#capsuleId, program));
	}

	/** Takes up a terminal that runs, or shows it if it is open already. */
	connect(tag: string, program: Program = {}): void {
		const open = this.#sessions.find((session) => session.tag === tag);
		if (open) this.#current = open;
		else this.#add(TerminalSession.connect(this.#capsuleId, tag, program));
	}

	show(session: TerminalSession): void {
		this.#current = session;
	}

	/** Puts a new one in the place of one that is over. */
	replace(session: TerminalSession): void {
		const fresh = TerminalSession.start(this.#capsuleId, session.program);
		session.close();
		this.#sessions = this.#sessions.map((one) => (one === session ? fresh : one));
		this.#current = fresh;
		this.#remember();
	}

	/** Takes it off the page; its program runs on. */
	close(session: TerminalSession): void {
		session.close();
		const index = this.#sessions.indexOf(session);
		this.#sessions = this.#sessions.filter((one) => one !== session);
		if (this.#current === session) {
			this.#current = this.#sessions[Math.min(index, this.#sessions.length - 1)] ?? null;
		}
		this.#remember();
	}

	/** The network is back, or the capsule runs again. */
	hurry(): void {
		for (const session of this.#sessions) session.hurry();
	}

	/** The page goes away. */
	dispose(): void {
		for (const session of this.#sessions) session.close();
	}

	#add(session: TerminalSession): void {
		this.#sessions = [...this.#sessions, session];
		this.#current = session;
		this.#remember();
	}

	#remembered(): string[] {
		try {
			const value: unknown = JSON.parse(sessionStorage.getItem(this.#storageKey) ?? '[]');
			return Array.isArray(value) ? value.filter((tag) => typeof tag === 'string') : [];
		} catch {
			return [];
		}
	}

	#remember(): void {
		const tags = this.#sessions.filter(({ isAlive }) => isAlive).map(({ tag }) => tag);
		try {
			sessionStorage.setItem(this.#storageKey, JSON.stringify(tags));
		} catch {
			// Then they are found in the list of what runs.
			return;
		}
	}

	get #storageKey(): string {
		return `wrenn.terminals.${this.#capsuleId}`;
	}
}
