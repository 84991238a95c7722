/** Actions that are possible with a capsule, as rows and its page show them. */
import Layers from '@lucide/svelte/icons/layers-plus';
import Pause from '@lucide/svelte/icons/pause';
import Play from '@lucide/svelte/icons/play';
import Trash from '@lucide/svelte/icons/trash-2';
import type { Capsule, CapsuleOperation } from '../api/types';
import type { Action } from '../components/action';
import { denial, type OperationId, type Principal } from '../session/principal.svelte';
import { texts } from '../texts';
import { obstacle, pauseOrResume, resumeText, type CapsuleAct } from './obstacles';
import { pauseCapsule, resumeCapsule } from './service';

/** Action that needs a question before it is done. */
export interface CapsuleQuestion {
	action: 'boot' | 'snapshot' | 'destroy';
	capsule: Capsule;
}

const words = texts.capsule;

const OPERATIONS: Record<CapsuleAct, OperationId> = {
	pause: 'pause_capsule',
	resume: 'resume_capsule',
	boot: 'resume_capsule',
	snapshot: 'create_snapshot',
	destroy: 'destroy_capsule'
};

/** Why somebody may not do it to any capsule; null if they may. */
export function actDenial(principal: Principal, act: CapsuleAct): string | null {
	return denial(principal, OPERATIONS[act]);
}

/**
 * Returns the actions that are possible with a capsule.
 *
 * @param asked what we wait for ourselves
 * @param ask opens the question about what is not done at once
 */
export function getCapsuleActions(
	principal: Principal,
	capsule: Capsule,
	asked: CapsuleOperation | null,
	ask: (question: CapsuleQuestion) => void
): Action[] {
	const { id } = capsule;
	const hindrance = (act: CapsuleAct) => actDenial(principal, act) ?? obstacle(capsule, asked, act);
	// A single button, so that it stays under the pointer when it becomes the other.
	const toggle = pauseOrResume(capsule);
	const toggleText = toggle === 'pause' ? words.pause : resumeText(capsule);
	return [
		{
			id: 'toggle',
			text: toggleText,
			label: words.actionOn(toggleText, id),
			icon: toggle === 'pause' ? Pause : Play,
			obstacle: hindrance(toggle),
			run: () => void (toggle === 'pause' ? pauseCapsule(id) : resumeCapsule(id, 'keep'))
		},
		{
			id: 'snapshot',
			text: words.snapshot,
			label: words.snapshotOf(id),
			icon: Layers,
			obstacle: hindrance('snapshot'),
			run: () => ask({ action: 'snapshot', capsule })
		},
		{
			id: 'destroy',
			text: words.destroy,
			label: words.actionOn(words.destroy, id),
			icon: Trash,
			obstacle: hindrance('destroy'),
			look: 'danger',
			run: () => ask({ action: 'destroy', capsule })
		}
	];
}
