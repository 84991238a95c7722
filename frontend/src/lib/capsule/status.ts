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

export function statusTone(status: CapsuleStatus): Tone {
	return TONES[status];
}

/** Returns true if it will change soon by itself, so that it pays to look often. */
export function isSettling(capsule: Capsule): boolean {
	return Boolean(capsule.operation) || statusTone(capsule.status) === 'moving';
}

/** The operation in flight, unless the status already says it in the same word. */
export function operationBeside(capsule: Capsule): CapsuleOperation | null {
	const { operation, status } = capsule;
	return operation && operation !== status ? operation : null;
}

/** Why it is as it is: its last error, else the reason it stopped for. */
export function explanation(capsule: Capsule): { kind: 'error' | 'reason'; text: string } | null {
	if (capsule.last_error) return { kind: 'error', text: capsule.last_error };
	if (capsule.stop_reason) return { kind: 'reason', text: capsule.stop_reason };
	return null;
}
