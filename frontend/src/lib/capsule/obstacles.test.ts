import { describe, expect, it } from 'vitest';
import type { CapsuleStatus } from '../api/types';
import { obstacle, pauseOrResume, remedy, resumeText, typeObstacle } from './obstacles';
import { capsule } from './testing';

describe('obstacle', () => {
	it('lets a running capsule be paused and a paused or stopped one be resumed', () => {
		expect(obstacle(capsule(), null, 'pause')).toBeNull();
		expect(obstacle(capsule(), null, 'resume')).toBe('It runs already.');
		for (const status of ['paused', 'hibernated', 'stopped'] as const) {
			expect(obstacle(capsule({ status }), null, 'resume')).toBeNull();
			expect(obstacle(capsule({ status }), null, 'pause')).not.toBeNull();
		}
	});

	it('names the operation in flight, also while only we know of it', () => {
		expect(obstacle(capsule({ operation: 'snapshotting' }), null, 'pause')).toBe(
			'It is busy: snapshotting.'
		);
		expect(obstacle(capsule(), 'pausing', 'snapshot')).toBe('It is busy: pausing.');
	});

	it('lets destroying overtake everything but itself', () => {
		expect(obstacle(capsule({ operation: 'flattening' }), 'flattening', 'destroy')).toBeNull();
		expect(obstacle(capsule({ status: 'error' }), null, 'destroy')).toBeNull();
		expect(obstacle(capsule({ operation: 'pausing' }), 'destroying', 'destroy')).not.toBeNull();
		expect(obstacle(capsule({ operation: 'destroying' }), null, 'resume')).toBe(
			'It is being destroyed.'
		);
	});

	it('allows nothing else with what does not run and is not kept', () => {
		for (const status of ['pending', 'starting', 'missing', 'error'] as const) {
			for (const action of ['pause', 'resume', 'boot', 'snapshot'] as const) {
				expect(obstacle(capsule({ status }), null, action), `${action} ${status}`).not.toBeNull();
			}
		}
	});
});

it('pauseOrResume stands for what makes a difference', () => {
	expect(pauseOrResume(capsule())).toBe('pause');
	expect(pauseOrResume(capsule({ status: 'stopped' }))).toBe('resume');
	expect(pauseOrResume(capsule({ status: 'missing', operation: 'resuming' }))).toBe('resume');
});

it('typeObstacle knows what a capsule has', () => {
	const possible = (status: CapsuleStatus) =>
		(['snapshot', 'base'] as const).filter((type) => !typeObstacle(capsule({ status }), type));
	expect(possible('running')).toEqual(['snapshot', 'base']);
	expect(possible('paused')).toEqual(['snapshot']);
	expect(possible('stopped')).toEqual(['base']);
});

describe('remedy', () => {
	it('offers the disk when memory could not be restored', () => {
		expect(remedy(capsule({ status: 'paused' }))).toBeNull();
		const failed = capsule({ status: 'paused', last_error: 'another processor' });
		expect(remedy(failed)?.actions).toEqual(['resume', 'boot']);
	});

	it('boots what is stopped', () => {
		const stopped = capsule({ status: 'stopped', stop_reason: 'it powered off' });
		expect(remedy(stopped)?.actions).toEqual(['resume']);
		expect(resumeText(stopped)).toBe('Boot from disk');
		expect(resumeText(capsule({ status: 'paused' }))).toBe('Resume');
	});

	it('says nothing while something is under way, or nothing is wrong', () => {
		expect(remedy(capsule({ status: 'stopped', operation: 'resuming' }))).toBeNull();
		expect(remedy(capsule())).toBeNull();
	});
});
