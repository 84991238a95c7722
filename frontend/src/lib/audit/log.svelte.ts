/**
 * The audit log, newest first, page by page: of the team, and of all teams for the platform's administrators. It is long, so it is
 * loaded when somebody wants it.
 */
import { Loaded } from '../polling/loaded.svelte';
import type { AdminAuditEntry, AuditEntry } from '../api/types';
import { NO_FILTERS, type AuditFilters } from './filters';
import type { AuditScope } from './scope';
import { readLog, type AuditPage } from './service';

class AuditLog extends Loaded<AuditPage> {
	readonly scope: AuditScope;
	#filters: AuditFilters = NO_FILTERS;

	constructor(scope: AuditScope) {
		super();
		this.scope = scope;
	}

	get entries(): readonly (AuditEntry | AdminAuditEntry)[] {
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
			const { entries, next } = await readLog(this.scope, this.#filters, signal, after);
			return { entries: [...known.entries, ...entries], next };
		});
	}

	protected override ask(signal: AbortSignal): Promise<AuditPage> {
		return readLog(this.scope, this.#filters, signal);
	}
}

const NOTHING: readonly never[] = [];

export const auditLogs: Readonly<Record<AuditScope, AuditLog>> = {
	team: new AuditLog('team'),
	platform: new AuditLog('platform')
};
