/** The commands run in one capsule while its page is open, and what came of them. */
import { isAbort, toApiError, type ApiError } from '../api/errors';
import type { ExecResponse } from '../api/types';
import { execInCapsule } from './service';

const TIMEOUT_SEC = 60;
const KEPT_ENTRIES = 50;

export interface ExecEntry {
	id: number;
	cmd: string;
	outcome:
		| { kind: 'running' }
		| { kind: 'ended'; response: ExecResponse }
		| { kind: 'failed'; error: ApiError };
}

export class ExecSession {
	readonly #capsuleId: string;
	readonly #abort = new AbortController();
	#nextId = 1;
	/** Oldest first. */
	entries = $state.raw<readonly ExecEntry[]>([]);

	constructor(capsuleId: string) {
		this.#capsuleId = capsuleId;
	}

	get isRunning(): boolean {
		return this.entries.at(-1)?.outcome.kind === 'running';
	}

	async run(cmd: string): Promise<void> {
		const id = this.#nextId++;
		this.entries = [...this.entries, { id, cmd, outcome: { kind: 'running' } as const }].slice(
			-KEPT_ENTRIES
		);
		try {
			const body = { cmd, timeout_sec: TIMEOUT_SEC };
			const response = await execInCapsule(this.#capsuleId, body, this.#abort.signal);
			this.#settle(id, { kind: 'ended', response });
		} catch (error) {
			if (!isAbort(error)) this.#settle(id, { kind: 'failed', error: toApiError(error) });
		}
	}

	clear(): void {
		this.entries = this.entries.filter(({ outcome }) => outcome.kind === 'running');
	}

	/** Gives up waiting for what still runs. */
	close(): void {
		this.#abort.abort();
	}

	#settle(id: number, outcome: ExecEntry['outcome']): void {
		this.entries = this.entries.map((entry) => (entry.id === id ? { ...entry, outcome } : entry));
	}
}
