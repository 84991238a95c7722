import { expect, it } from 'vitest';
import { durationText, isOpen, progressFraction, progressText } from './status';
import { build } from './testing';

it('knows what will still change', () => {
	const open = (['pending', 'running', 'success', 'failed', 'cancelled'] as const).filter(
		(status) => isOpen({ status })
	);
	expect(open).toEqual(['pending', 'running']);
});

it('says what a build does', () => {
	const said = (change: Parameters<typeof build>[0]) => progressText(build(change));
	expect(said({ status: 'pending', stage: null, current_step: 0 })).toBe('waiting for a worker');
	expect(said({ stage: 'preparing', current_step: 0 })).toBe('preparing');
	expect(said({ stage: 'steps', current_step: 0 })).toBe('preparing');
	expect(said({ stage: 'steps', current_step: 4, total_steps: 9 })).toBe('step 4 of 9');
	expect(said({ stage: 'testing', current_step: 9 })).toBe('testing the template');
	expect(said({ stage: null, current_step: 0 })).toBe('preparing');
	expect(said({ status: 'success', stage: null })).toBe('');
	expect(said({ status: 'failed', stage: null, current_step: 2 })).toBe('at step 2 of 4');
	expect(said({ status: 'cancelled', stage: null, current_step: 0 })).toBe('');
});

it('counts the steps that are done', () => {
	expect(progressFraction(build({ current_step: 0, total_steps: 4 }))).toBe(0);
	expect(progressFraction(build({ current_step: 3, total_steps: 4 }))).toBe(0.5);
	expect(progressFraction(build({ current_step: 0, total_steps: 0 }))).toBeNull();
	expect(progressFraction(build({ stage: 'testing', current_step: 3, total_steps: 4 }))).toBe(1);
	expect(progressFraction(build({ status: 'success' }))).toBeNull();
});

it('tells how long it takes, and took', () => {
	const startMs = Date.parse('2026-03-01T12:00:01Z');
	expect(durationText(build(), startMs + 12_900)).toBe('12 s');
	expect(durationText(build(), startMs - 5_000)).toBe('0 s');
	expect(durationText(build({ completed_at: '2026-03-01T12:00:02.500Z' }), 0)).toBe('1.5 s');
	expect(durationText(build({ started_at: null }), startMs)).toBeNull();
});
