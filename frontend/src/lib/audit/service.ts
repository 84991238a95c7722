/** The actions of a user on the audit log: to read it, page by page, and to export all that matches. */
import { api } from '../api/client';
import { isAbort, toApiError, nextPage, unexpectedAnswer, unwrap } from '../api/errors';
import type { AdminAuditEntry, AuditEntry, AuditFormat } from '../api/types';
import { toasts } from '../components/toasts.svelte';
import { chooseTarget, pour } from '../files/download';
import { texts } from '../texts';
import { queryOf, type AuditFilters } from './filters';
import { API, type AuditScope } from './scope';

const words = texts.audit;

export interface AuditPage {
	entries: readonly (AuditEntry | AdminAuditEntry)[];
	/** Token of the page behind it; null if it is the last one. */
	next: string | null;
}

/** @param after token of the page; without it, the newest entries */
export async function readLog(
	scope: AuditScope,
	filters: AuditFilters,
	signal: AbortSignal,
	after?: string
): Promise<AuditPage> {
	const query = { ...queryOf(filters), after };
	const call = api.GET(API[scope], { params: { query }, signal });
	const entries = (await unwrap(call)) as AuditPage['entries'];
	return { entries, next: await nextPage(call) };
}

/** Saves all that the filters match as a file, and says how it went; nothing of an export that is cut off is kept. */
export async function exportLog(
	scope: AuditScope,
	filters: AuditFilters,
	format: AuditFormat,
	signal: AbortSignal
): Promise<void> {
	const file = `audit-log.${format}`;
	try {
		const query = { ...queryOf(filters), format };
		const call = api.GET(API[scope], { params: { query }, signal, parseAs: 'stream' });
		const body: unknown = await unwrap(call);
		if (!(body instanceof ReadableStream)) throw unexpectedAnswer();
		const target = await chooseTarget(file, 0);
		if (target === null) return;
		await pour(body as ReadableStream<Uint8Array<ArrayBuffer>>, target, () => undefined);
	} catch (error) {
		if (!isAbort(error)) toasts.failed(words.notExported(toApiError(error).message));
		return;
	}
	toasts.done(words.exported(file));
}
