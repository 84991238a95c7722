/**
 * The processes of one capsule that were started through the API, oldest first.
 *
 * Asking for them is a use of the capsule, and would wake one that wakes on use. So whoever watches does
 * so only while it runs.
 */
import type { ProcessEntry } from '../api/types';
import { PolledList } from '../polling/polled.svelte';
import { listProcesses } from './service';

/** A process as the page knows it: pids are given again, so one alone does not name it for ever. */
export interface Process extends ProcessEntry {
	id: string;
}

export class ProcessList extends PolledList<Process> {
	readonly #capsuleId: string;

	constructor(capsuleId: string) {
		super();
		this.#capsuleId = capsuleId;
	}

	protected override async list(signal: AbortSignal): Promise<Process[]> {
		const entries = await listProcesses(this.#capsuleId, signal);
		return entries.map((entry) => ({ ...entry, id: `${entry.pid} ${entry.tag}` }));
	}

	protected override compare(a: Process, b: Process): number {
		return a.started_at.localeCompare(b.started_at) || a.pid - b.pid;
	}
}
