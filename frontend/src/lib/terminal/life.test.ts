import { describe, expect, it } from 'vitest';
import { isAlive, NEW, next, TAKEN_UP, type Life, type LifeEvent } from './life';

const RUNNING: LifeEvent = { kind: 'capsule', status: 'running' };
const CUT: LifeEvent = { kind: 'dropped', reason: 'cut' };
const DUE: LifeEvent = { kind: 'due' };
const STARTED: LifeEvent = { kind: 'started' };
const REFUSED: LifeEvent = { kind: 'refused', reason: 'no' };

function live(life: Life, ...events: LifeEvent[]): Life {
	return events.reduce((now, event) => next(now, event, 0.5), life);
}

it('opens and ends with the exit code', () => {
	expect(live(NEW, STARTED)).toEqual({ kind: 'open' });
	expect(live(NEW, STARTED, { kind: 'exited', exitCode: 3 })).toEqual({
		kind: 'ended',
		exitCode: 3
	});
});

describe('a dropped socket', () => {
	it('is waited for, and taken up again under its tag', () => {
		const waiting = live(NEW, STARTED, CUT);
		expect(waiting).toEqual({
			kind: 'waiting',
			failures: 1,
			isKnown: true,
			delayMs: 500,
			reason: 'cut'
		});
		const connecting = live(waiting, DUE, RUNNING);
		expect(connecting).toMatchObject({ kind: 'connecting', by: 'connect', isKnown: true });
		expect(live(connecting, STARTED)).toEqual({ kind: 'open' });
	});

	it('is tried again ever more slowly, and quickly again after a success', () => {
		const unreachable: LifeEvent = { kind: 'unreachable', reason: 'away' };
		const later = live(NEW, STARTED, CUT, DUE, unreachable, DUE, RUNNING, CUT);
		expect(later).toMatchObject({ kind: 'waiting', failures: 3, delayMs: 2_000 });
		expect(live(later, DUE, RUNNING, STARTED, CUT)).toMatchObject({ failures: 1, delayMs: 500 });
	});

	it('does not start a program twice', () => {
		const unsure = live(NEW, CUT, DUE, RUNNING);
		expect(unsure).toMatchObject({ kind: 'connecting', by: 'connect', isKnown: false });
		expect(live(unsure, REFUSED)).toMatchObject({ kind: 'connecting', by: 'start' });
		expect(live(unsure, REFUSED, REFUSED, RUNNING)).toEqual({ kind: 'lost', reason: 'no' });
	});
});

describe('a capsule that does not run', () => {
	it('lets its terminals sleep until it wakes', () => {
		const asleep = live(NEW, STARTED, REFUSED, { kind: 'capsule', status: 'paused' });
		expect(asleep).toEqual({ kind: 'asleep', isKnown: true, status: 'paused' });
		const still: LifeEvent = { kind: 'capsule', status: 'paused' };
		expect(live(asleep, DUE, CUT, still, { kind: 'unreachable', reason: 'away' })).toBe(asleep);
		expect(live(asleep, { kind: 'capsule', status: 'resuming' })).toMatchObject({
			kind: 'asleep',
			status: 'resuming'
		});
		expect(live(asleep, RUNNING)).toMatchObject({
			kind: 'connecting',
			by: 'connect',
			isKnown: true
		});
	});

	it('loses them when it is gone', () => {
		const lost = live(NEW, STARTED, CUT, DUE, { kind: 'gone', reason: 'no such capsule' });
		expect(lost).toEqual({ kind: 'lost', reason: 'no such capsule' });
	});
});

it('loses a session that the server does not know any more', () => {
	expect(live(TAKEN_UP, REFUSED, RUNNING)).toEqual({ kind: 'lost', reason: 'no' });
	expect(live(NEW, STARTED, REFUSED, RUNNING)).toEqual({ kind: 'lost', reason: 'no' });
});

it('stays what it is once it is over, whatever comes late', () => {
	const events: LifeEvent[] = [STARTED, CUT, REFUSED, RUNNING, DUE];
	for (const over of [
		live(NEW, { kind: 'exited', exitCode: 0 }),
		live(TAKEN_UP, REFUSED, RUNNING)
	]) {
		expect(isAlive(over)).toBe(false);
		for (const event of events) expect(next(over, event)).toBe(over);
	}
});
