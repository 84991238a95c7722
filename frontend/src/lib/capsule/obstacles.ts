/**
 * Why something cannot be done with a capsule now, and what can be done about the state it is in.
 *
 * The server decides; this only keeps people from asking for what it would refuse, and says why.
 */
import type { Capsule, CapsuleOperation, CapsuleStatus, TemplateType } from '../api/types';
import { texts } from '../texts';

/** `boot` is a resume that gives up memory that is kept. */
export type CapsuleAct = 'pause' | 'resume' | 'boot' | 'snapshot' | 'destroy';

const words = texts.capsule;
const why = words.obstacles;

/** Why it cannot be done in a settled state; what is not listed can. */
const OBSTACLES: Record<Exclude<CapsuleAct, 'destroy'>, Partial<Record<CapsuleStatus, string>>> = {
	pause: {
		paused: why.paused,
		hibernated: why.paused,
		stopped: why.notRunning
	},
	resume: { running: why.running },
	boot: {
		running: why.running,
		stopped: why.noMemory,
		hibernated: why.noMemory
	},
	snapshot: { hibernated: why.resumeFirst }
};

const OF_NO_USE: Partial<Record<CapsuleStatus, string>> = {
	pending: why.notStarted,
	starting: why.notStarted,
	missing: why.hostAway,
	error: why.nothingLeft
};

/** Why an action is not possible now; null if it is. `asked` is what we wait for ourselves. */
export function obstacle(
	{ status, operation }: Capsule,
	asked: CapsuleOperation | null,
	action: CapsuleAct
): string | null {
	const inFlight = asked === 'destroying' ? asked : (operation ?? asked);
	if (inFlight === 'destroying') return why.destroying;
	// Destroying overtakes everything else.
	if (action === 'destroy') return null;
	if (inFlight) return why.busy(inFlight);
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
		return why.stoppedNoMemory;
	}
	if (type === 'base' && status === 'paused') {
		return why.notWhilePaused;
	}
	return null;
}

/** Advice and actions for the state of a capsule, if something needs to be done about it. */
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
				text: words.remedies.paused,
				actions: ['resume', 'boot']
			};
		case 'hibernated':
			return { text: words.remedies.hibernated, actions: ['resume'] };
		case 'stopped':
			return { text: words.remedies.stopped, actions: ['resume'] };
		case 'missing':
			return { text: words.remedies.missing, actions: [] };
		case 'error':
			return { text: words.remedies.error, actions: ['destroy'] };
		case 'running':
			return last_error ? { text: words.remedies.running, actions: [] } : null;
		default:
			return null;
	}
}

/** Returns the name of resuming for a capsule: one without memory boots. */
export function resumeText({ status }: Capsule): string {
	return status === 'stopped' || status === 'hibernated' ? words.boot : words.resume;
}
