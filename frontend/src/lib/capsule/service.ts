/** What a user can do with capsules. */
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

/** Creates a capsule; errors go to the caller, whose form shows them. */
export async function createCapsule(body: CreateCapsuleRequest): Promise<Capsule> {
	const capsule = await unwrap(api.POST('/v1/capsules', { body }));
	events.emit('capsule:created', capsule);
	toasts.done(`Capsule ${capsule.id} is being started`);
	return capsule;
}

/** Pauses a capsule and says how it went. */
export function pauseCapsule(id: string): Promise<void> {
	const call = () => unwrap(api.POST('/v1/capsules/{id}/pause', { params: { path: { id } } }));
	return operate(id, 'pausing', call, 'paused');
}

/** Resumes a capsule, with its memory or booted from its disk, and says how it went. */
export function resumeCapsule(id: string, memory: 'keep' | 'drop'): Promise<void> {
	const body = memory === 'drop' ? { drop_memory: true } : undefined;
	const call = () =>
		unwrap(api.POST('/v1/capsules/{id}/resume', { params: { path: { id } }, body }));
	return operate(id, 'resuming', call, 'resumed');
}

async function operate(
	id: string,
	operation: CapsuleOperation,
	call: () => Promise<Capsule>,
	done: string
): Promise<void> {
	events.emit('capsule:asked', { id, operation });
	try {
		const capsule = await call();
		events.emit('capsule:answered', { id, capsule });
		toasts.done(`Capsule ${id} is ${done}`);
	} catch (error) {
		events.emit('capsule:answered', { id });
		toasts.failed(`Capsule ${id} was not ${done}: ${toApiError(error).message}`);
	}
}

/** Destroys a capsule and says how it went. Returns whether it is gone. */
export async function destroyCapsule(id: string): Promise<boolean> {
	events.emit('capsule:asked', { id, operation: 'destroying' });
	try {
		await unwrap(api.DELETE('/v1/capsules/{id}', { params: { path: { id } } }));
	} catch (error) {
		events.emit('capsule:answered', { id });
		toasts.failed(`Capsule ${id} was not destroyed: ${toApiError(error).message}`);
		return false;
	}
	events.emit('capsule:destroyed', { id });
	toasts.done(`Capsule ${id} is destroyed`);
	return true;
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
