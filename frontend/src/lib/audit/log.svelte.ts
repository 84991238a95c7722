/** The team's audit log, newest first, page by page. It is long, so it is loaded when somebody wants it. */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { AuditEntry } from '../api/types';
import { Loaded } from '../polling/loaded.svelte';
import { NO_FILTERS, queryOf, type AuditFilters } from './filters';

interface Page {
	entries: readonly AuditEntry[];
	/** Token of the page behind it; null if it is the last one. */
	next: string | null;
}

class AuditLog extends Loaded<Page> {
	#filters: AuditFilters = NO_FILTERS;

	get entries(): readonly AuditEntry[] {
		return this.value?.entries ?? NOTHING;
	}

	/** True if there are older entries. */
	get hasOlder(): boolean {
		return typeof this.value?.next === 'string';
	}

	/** Shows the newest entries that match. */
	show(filters: AuditFilters): Promise<void> {
		// Entries that other filters let through would pass for the answer.
		this.forget();
		this.#filters = filters;
		return this.load();
	}

	/** Adds the entries behind the last one. */
	async loadOlder(): Promise<void> {
		const known = this.value;
		if (known === null || known.next === null) return;
		const after = known.next;
		await this.run(async (signal) => {
			const { entries, next } = await this.#page(signal, after);
			return { entries: [...known.entries, ...entries], next };
		});
	}

	protected override ask(signal: AbortSignal): Promise<Page> {
		return this.#page(signal);
	}

	async #page(signal: AbortSignal, after?: string): Promise<Page> {
		const query = { ...queryOf(this.#filters), after };
		const call = api.GET('/v1/audit-logs', { params: { query }, signal });
		const entries = (await unwrap(call)) as AuditEntry[];
		return { entries, next: (await call).response.headers.get('X-Next-Token') };
	}
}

const NOTHING: readonly AuditEntry[] = [];

export const auditLog = new AuditLog();
