/** What a user can do with the processes of a capsule. */
import { toApiError } from '../api/errors';
import { request, requestJson, type ProcessEntry } from '../api/pending';
import type { Signal } from '../process/signals';
import { toasts } from '../managers/toasts.svelte';

export async function listProcesses(id: string, signal: AbortSignal): Promise<ProcessEntry[]> {
	const path = `/v1/capsules/${id}/processes`;
	return (await requestJson<{ processes: ProcessEntry[] }>('GET', path, undefined, signal))
		.processes;
}

/** Starts a command that nobody waits for; errors go to the caller. */
export async function startInBackground(
	id: string,
	body: { cmd: string; user?: string }
): Promise<{ pid: number; tag: string }> {
	const path = `/v1/capsules/${id}/exec`;
	return requestJson('POST', path, { ...body, background: true });
}

/** Sends a signal and says how it went. */
export async function sendSignal(id: string, pid: number, signal: Signal): Promise<void> {
	try {
		await request('DELETE', `/v1/capsules/${id}/processes/${pid}?signal=${signal}`);
	} catch (error) {
		toasts.failed(`${signal} was not sent to ${pid}: ${toApiError(error).message}`);
		return;
	}
	toasts.done(`${signal} was sent to ${pid}`);
}
