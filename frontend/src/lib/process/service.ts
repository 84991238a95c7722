/** The actions of a user on the processes of a capsule. */
import { api } from '../api/client';
import { toApiError, unexpectedAnswer, unwrap } from '../api/errors';
import type { ProcessEntry, Signal, StartedProcess } from '../api/types';
import { toasts } from '../components/toasts.svelte';
import { texts } from '../texts';

export async function listProcesses(id: string, signal: AbortSignal): Promise<ProcessEntry[]> {
	const params = { path: { id } };
	const answer = await unwrap(api.GET('/v1/capsules/{id}/processes', { params, signal }));
	return answer.processes;
}

/** Starts a command that nobody waits for; errors go to the caller. */
export async function startInBackground(id: string, cmd: string): Promise<StartedProcess> {
	const params = { path: { id } };
	const body = { cmd, background: true };
	const answer = await unwrap(api.POST('/v1/capsules/{id}/exec', { params, body }));
	if ('pid' in answer) return answer;
	throw unexpectedAnswer();
}

/** Sends a signal and says how it went. */
export async function sendSignal(id: string, pid: number, signal: Signal): Promise<void> {
	const params = { path: { id, selector: String(pid) }, query: { signal } };
	try {
		await unwrap(api.DELETE('/v1/capsules/{id}/processes/{selector}', { params }));
	} catch (error) {
		toasts.failed(texts.process.notSent(signal, pid, toApiError(error).message));
		return;
	}
	toasts.done(texts.process.sent(signal, pid));
}
