/** Operations that a user can carry out on capsules. */
import { api } from '../api/client';
import { toApiError, unexpectedAnswer, unwrap } from '../api/errors';
import type {
	Capsule,
	CapsuleOperation,
	CreateCapsuleRequest,
	ExecRequest,
	ExecResponse
} from '../api/types';
import { events } from '../events';
import { toasts } from '../components/toasts.svelte';
import { texts } from '../texts';
import { bulkReport, forEachLimited, type BulkAct, type BulkOutcome } from './bulk';
import { formatTimeout } from './timeout';

const words = texts.capsule;

/** The server works on a few at a time anyway, and others want to be served, too. */
const BULK_LIMIT = 4;

/** Creates a capsule; errors go to the caller, whose form shows them. */
export async function createCapsule(body: CreateCapsuleRequest): Promise<Capsule> {
	const capsule = await unwrap(api.POST('/v1/capsules', { body }));
	events.emit('capsule:created', capsule);
	toasts.done(words.starting(capsule.id));
	return capsule;
}

/** Pauses a capsule and says how it went. */
export async function pauseCapsule(id: string): Promise<void> {
	const failure = await pause(id);
	if (failure === null) toasts.done(words.paused(id));
	else toasts.failed(words.notPaused(id, failure));
}

/** Resumes a capsule, with its memory or booted from its disk, and says how it went. */
export async function resumeCapsule(id: string, memory: 'keep' | 'drop'): Promise<void> {
	const failure = await resume(id, memory);
	if (failure === null) toasts.done(words.resumed(id));
	else toasts.failed(words.notResumed(id, failure));
}

/** Destroys a capsule and says how it went. Returns whether it is gone. */
export async function destroyCapsule(id: string): Promise<boolean> {
	const failure = await destroy(id);
	if (failure === null) toasts.done(words.destroyed(id));
	else toasts.failed(words.notDestroyed(id, failure));
	return failure === null;
}

/** Does one thing with many capsules, and says once how it went with all of them. */
export async function actOnCapsules(act: BulkAct, ids: readonly string[]): Promise<void> {
	const acts = { pause, resume, destroy };
	const outcomes = await forEachLimited<string, BulkOutcome>(ids, BULK_LIMIT, async (id) => ({
		id,
		failure: await acts[act](id)
	}));
	const report = bulkReport(act, outcomes);
	if (outcomes.some(({ failure }) => failure !== null)) toasts.failed(report);
	else toasts.done(report);
}

// Each tells the others what was asked and answered, and returns why it failed; null if it did not.

function pause(id: string): Promise<string | null> {
	return operate(id, 'pausing', () =>
		unwrap(api.POST('/v1/capsules/{id}/pause', { params: { path: { id } } }))
	);
}

function resume(id: string, memory: 'keep' | 'drop' = 'keep'): Promise<string | null> {
	const body = memory === 'drop' ? { drop_memory: true } : undefined;
	return operate(id, 'resuming', () =>
		unwrap(api.POST('/v1/capsules/{id}/resume', { params: { path: { id } }, body }))
	);
}

async function operate(
	id: string,
	operation: CapsuleOperation,
	call: () => Promise<Capsule>
): Promise<string | null> {
	events.emit('capsule:asked', { id, operation });
	try {
		const capsule = await call();
		events.emit('capsule:answered', { id, capsule });
		return null;
	} catch (error) {
		events.emit('capsule:answered', { id });
		return toApiError(error).message;
	}
}

async function destroy(id: string): Promise<string | null> {
	events.emit('capsule:asked', { id, operation: 'destroying' });
	try {
		await unwrap(api.DELETE('/v1/capsules/{id}', { params: { path: { id } } }));
		events.emit('capsule:destroyed', { id });
		return null;
	} catch (error) {
		events.emit('capsule:answered', { id });
		return toApiError(error).message;
	}
}

/** Sets the idle time after which it is paused; errors go to the caller, whose form shows them. */
export async function setIdleTimeout(id: string, timeoutSec: number): Promise<void> {
	const body = { timeout_sec: timeoutSec };
	const params = { path: { id } };
	const capsule = await unwrap(api.POST('/v1/capsules/{id}/timeout', { params, body }));
	events.emit('capsule:changed', capsule);
	toasts.done(words.timeoutSet(formatTimeout(capsule.timeout_sec)));
}

/** Runs a command to its end; errors go to the caller, which shows them in place of the output. */
export async function execInCapsule(
	id: string,
	body: Omit<ExecRequest, 'background'>,
	signal: AbortSignal
): Promise<ExecResponse> {
	const params = { path: { id } };
	const answer = await unwrap(api.POST('/v1/capsules/{id}/exec', { params, body, signal }));
	if ('exit_code' in answer) return answer;
	throw unexpectedAnswer();
}
