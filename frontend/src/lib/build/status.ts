/** Meaning of the state of a build to somebody who looks at it. */
import type { BuildHead, BuildStatus } from '../api/types';
import type { Tone } from '../components/tone';
import { formatDuration, formatTicking } from '../format';
import { texts } from '../texts';

const words = texts.build;

const TONES: Record<BuildStatus, Tone> = {
	pending: 'asleep',
	running: 'moving',
	success: 'live',
	failed: 'broken',
	cancelled: 'gone'
};

export function buildTone(status: BuildStatus): Tone {
	return TONES[status];
}

/** Returns true if the build will still change. */
export function isOpen({ status }: Pick<BuildHead, 'status'>): boolean {
	return status === 'pending' || status === 'running';
}

/** `step 4 of 9`, or what it does instead; empty if there is nothing to say. */
export function progressText(build: BuildHead): string {
	const { status, stage, current_step, total_steps } = build;
	const step = current_step > 0 ? words.step(current_step, total_steps) : '';
	switch (status) {
		case 'pending':
			return words.waiting;
		case 'running':
			return (stage && stage !== 'steps' && words.stages[stage]) || step || words.stages.preparing;
		case 'success':
			return '';
		case 'failed':
		case 'cancelled':
			return step && words.endedAt(step);
	}
}

/** Returns the progress, from 0 to 1; null while it is unknown. */
export function progressFraction(build: BuildHead): number | null {
	const { status, stage, current_step, total_steps } = build;
	if (status !== 'running' || total_steps === 0) return null;
	if (stage === 'template' || stage === 'testing') return 1;
	// The step that it is at is not done yet.
	return Math.min(Math.max(current_step - 1, 0) / total_steps, 1);
}

/** Returns the time it took, or has taken up to now; null if it was never taken up. */
export function durationText(build: BuildHead, nowMs: number): string | null {
	const { started_at, completed_at } = build;
	if (!started_at) return null;
	const endMs = completed_at ? Date.parse(completed_at) : nowMs;
	const ms = Math.max(0, endMs - Date.parse(started_at));
	return completed_at ? formatDuration(ms) : formatTicking(ms);
}
