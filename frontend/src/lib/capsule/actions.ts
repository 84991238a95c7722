/**
 * What can be done with a capsule now, and why something cannot.
 *
 * The server decides; this only keeps people from asking for what it would refuse, and says why.
 */
import type { Capsule, CapsuleOperation, CapsuleStatus, TemplateType } from '../api/types';

export type Action = 'pause' | 'resume' | 'boot' | 'snapshot' | 'destroy';

/** What needs to be asked before it is done. `boot` is a resume that gives up memory that is kept. */
export interface CapsuleQuestion {
	action: 'boot' | 'snapshot' | 'destroy';
	capsule: Capsule;
}

/** Why it cannot be done in a settled state; what is not listed can. */
const OBSTACLES: Record<Exclude<Action, 'destroy'>, Partial<Record<CapsuleStatus, string>>> = {
	pause: {
		paused: 'It is paused already.',
		hibernated: 'It is paused already.',
		stopped: 'It does not run.'
	},
	resume: { running: 'It runs already.' },
	boot: {
		running: 'It runs already.',
		stopped: 'It has no memory.',
		hibernated: 'It has no memory.'
	},
	snapshot: { hibernated: 'Resume it first.' }
};

const OF_NO_USE: Partial<Record<CapsuleStatus, string>> = {
	pending: 'It has not started yet.',
	starting: 'It has not started yet.',
	missing: 'Its host is away.',
	error: 'Nothing is left of it.'
};

/** Why an action is not possible now; null if it is. `asked` is what we wait for ourselves. */
export function obstacle(
	{ status, operation }: Capsule,
	asked: CapsuleOperation | null,
	action: Action
): string | null {
	const inFlight = asked === 'destroying' ? asked : (operation ?? asked);
	if (inFlight === 'destroying') return 'It is being destroyed.';
	// Destroying overtakes everything else.
	if (action === 'destroy') return null;
	if (inFlight) return `It is busy: ${inFlight}.`;
	return OF_NO_USE[status] ?? OBSTACLES[action][status] ?? null;
}

/** The one of the two that a single button stands for. */
export function pauseOrResume({ status, operation }: Capsule): 'pause' | 'resume' {
	if (operation === 'resuming') return 'resume';
	return status === 'paused' || status === 'hibernated' || status === 'stopped'
		? 'resume'
		: 'pause';
}

/** Why a capsule cannot become a template of this type; null if it can. */
export function typeObstacle({ status }: Capsule, type: TemplateType): string | null {
	if (type === 'snapshot' && status === 'stopped') {
		return 'A stopped capsule has no memory.';
	}
	if (type === 'base' && status === 'paused') {
		return 'Not while it is paused: resume it first.';
	}
	return null;
}

/** What can be done about the state of a capsule, if anything needs to be. */
export interface Remedy {
	text: string;
	actions: readonly ('resume' | 'boot' | 'destroy')[];
}

export function remedy(capsule: Capsule): Remedy | null {
	const { status, operation, last_error } = capsule;
	if (operation) return null;
	switch (status) {
		case 'paused':
			if (!last_error) return null;
			return {
				text: 'Memory and disk are kept. If the memory cannot be restored, give it up and boot from the disk.',
				actions: ['resume', 'boot']
			};
		case 'hibernated':
			return { text: 'Its memory was given up; its disk is kept, and boots.', actions: ['resume'] };
		case 'stopped':
			return { text: 'Its disk is kept, and boots.', actions: ['resume'] };
		case 'missing':
			return { text: 'What became of it shows when its host is back.', actions: [] };
		case 'error':
			return { text: 'Nothing is left of it but this entry.', actions: ['destroy'] };
		case 'running':
			return last_error ? { text: 'It runs on as it was.', actions: [] } : null;
		default:
			return null;
	}
}

/** What resuming means to a capsule: one without memory boots. */
export function resumeText({ status }: Capsule): 'Resume' | 'Boot from disk' {
	return status === 'stopped' || status === 'hibernated' ? 'Boot from disk' : 'Resume';
}
