/** Meaning of the status and the operation of a capsule to somebody who looks at it. */
import type { Capsule, CapsuleOperation, CapsuleStatus } from '../api/types';
import type { Tone } from '../components/tone';

const TONES: Record<CapsuleStatus, Tone> = {
	pending: 'moving',
	starting: 'moving',
	running: 'live',
	paused: 'asleep',
	hibernated: 'asleep',
	stopped: 'gone',
	missing: 'lost',
	error: 'broken'
};

/** The fields that tell how a capsule is, which an administrator of the platform sees of all of them. */
export type CapsuleState = Pick<Capsule, 'status' | 'operation'>;

export function statusTone(status: CapsuleStatus): Tone {
	return TONES[status];
}

/** Returns true if it will change soon by itself, so that it pays to look often. */
export function isSettling(capsule: CapsuleState): boolean {
	return Boolean(capsule.operation) || statusTone(capsule.status) === 'moving';
}

/** The operation in flight, unless the status already says it in the same word. */
export function operationBeside(capsule: CapsuleState): CapsuleOperation | null {
	const { operation, status } = capsule;
	return operation && operation !== status ? operation : null;
}

/** Why it is as it is: its last error, else the reason it stopped for. */
export function explanation(
	capsule: Pick<Capsule, 'last_error' | 'stop_reason'>
): { kind: 'error' | 'reason'; text: string } | null {
	if (capsule.last_error) return { kind: 'error', text: capsule.last_error };
	if (capsule.stop_reason) return { kind: 'reason', text: capsule.stop_reason };
	return null;
}
