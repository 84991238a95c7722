import { expect, it } from 'vitest';
import {
	applyEvents,
	EMPTY_BUILD_LOG,
	failedStep,
	stepsOf,
	withLook,
	type BuildEvent,
	type BuildLog
} from './log';
import { build, line, step } from './testing';

const HEAD: BuildEvent = { kind: 'build', build: build() };
const begun = (number: number): BuildEvent => ({ kind: 'step', step: step(number) });
const ended = (number: number, ok = true): BuildEvent => ({
	kind: 'step',
	step: step(number, { ok, exit: ok ? 0 : 1, elapsed_ms: 20 })
});
const text = (log: BuildLog, number: number) =>
	log.steps
		.find(({ step }) => step === number)
		?.output.pieces.map(({ text }) => text)
		.join('');

it('gathers head, steps and what they print', () => {
	const log = applyEvents(EMPTY_BUILD_LOG, [
		HEAD,
		begun(1),
		line(1, 'one', 1),
		line(1, '', 2),
		ended(1),
		begun(2),
		line(2, 'two', 3),
		line(2, 'oops', 4, 'stderr'),
		{ kind: 'end' }
	]);
	expect(log.build).toEqual(build());
	expect(log.steps.map(({ step, ok, exit }) => ({ step, ok, exit }))).toEqual([
		{ step: 1, ok: true, exit: 0 },
		{ step: 2, ok: null, exit: null }
	]);
	expect(text(log, 1)).toBe('one\n\n');
	expect(log.steps[1]?.output.pieces.map(({ stream }) => stream)).toEqual(['stdout', 'stderr']);
	expect(log.lastLine).toBe(4);
	expect(log.isComplete).toBe(true);
});

it('is the same however the events are cut into batches', () => {
	const events: BuildEvent[] = [HEAD, begun(1), line(1, 'a', 1), line(1, 'b', 2), ended(1), begun(2)];
	const whole = applyEvents(EMPTY_BUILD_LOG, events);
	for (let size = 1; size < events.length; size++) {
		let log = EMPTY_BUILD_LOG;
		for (let at = 0; at < events.length; at += size) {
			log = applyEvents(log, events.slice(at, at + size));
		}
		expect(log).toEqual(whole);
	}
});

it('leaves out what it has already, after the connection was lost', () => {
	const events: BuildEvent[] = [HEAD, begun(1), line(1, 'a', 1), line(1, 'b', 2)];
	let log = applyEvents(EMPTY_BUILD_LOG, events);
	const before = log.steps[0];
	log = applyEvents(log, events);
	expect(log.steps[0]).toBe(before);
	log = applyEvents(log, [line(1, 'b', 2), line(1, 'c', 3)]);
	expect(text(log, 1)).toBe('a\nb\nc\n');
});

it('takes lines of a server that does not count them as they come', () => {
	const log = applyEvents(EMPTY_BUILD_LOG, [begun(1), line(1, 'a'), line(1, 'a')]);
	expect(text(log, 1)).toBe('a\na\n');
});

it('leaves the other steps alone when one goes on', () => {
	const before = applyEvents(EMPTY_BUILD_LOG, [HEAD, begun(1), line(1, 'a', 1), ended(1), begun(2)]);
	const after = applyEvents(before, [line(2, 'b', 2)]);
	expect(after.build).toBe(before.build);
	expect(after.steps[0]).toBe(before.steps[0]);
	expect(after.steps[1]).not.toBe(before.steps[1]);
});

it('begins anew with a later attempt, whose lines go on counting', () => {
	const before = applyEvents(EMPTY_BUILD_LOG, [HEAD, begun(1), line(1, 'old', 7), ended(1)]);
	const again: BuildEvent = { kind: 'build', build: build({ attempt: 2, error: 'the host is gone' }) };
	const log = applyEvents(before, [line(1, 'old', 8), again, begun(1), line(1, 'new', 9)]);
	expect(log.steps).toHaveLength(1);
	expect(log.steps[0]?.ok).toBeNull();
	expect(text(log, 1)).toBe('new\n');
});

it('begins anew also when the steps of a later attempt come before its head', () => {
	const started_at = '2026-03-01T12:09:00Z';
	const before = applyEvents(EMPTY_BUILD_LOG, [
		HEAD,
		begun(1),
		line(1, 'old', 1),
		ended(1),
		begun(2),
		line(2, 'old', 2)
	]);
	const again: BuildEvent[] = [
		{ kind: 'step', step: step(1, { started_at }) },
		line(1, 'new', 3),
		{ kind: 'step', step: step(1, { started_at, ok: true }) },
		{ kind: 'step', step: step(2, { started_at }) },
		{ kind: 'build', build: build({ attempt: 2 }) },
		line(2, 'newer', 4)
	];
	const log = applyEvents(before, again);
	expect(text(log, 1)).toBe('new\n');
	expect(text(log, 2)).toBe('newer\n');
	expect(log.build?.attempt).toBe(2);
	// A third one is noticed again.
	const third: BuildEvent = { kind: 'build', build: build({ attempt: 3 }) };
	expect(applyEvents(log, [third]).steps).toEqual([]);
});

it('makes a note of what the server has left out', () => {
	const cut = '[120 lines are left out here: the log keeps 1024 KiB of a step, and its end]';
	const log = applyEvents(EMPTY_BUILD_LOG, [begun(1), line(1, cut, 1, 'stderr'), line(1, '[1/2]', 2)]);
	expect(log.steps[0]?.output.pieces.map(({ stream }) => stream)).toEqual(['note', 'stdout']);
});

it('keeps lines of a step that it has not been told of', () => {
	const log = applyEvents(EMPTY_BUILD_LOG, [line(3, 'early', 1), begun(3), begun(2)]);
	expect(log.steps.map(({ step, cmd }) => [step, cmd])).toEqual([
		[2, 'RUN step 2'],
		[3, 'RUN step 3']
	]);
	expect(text(log, 3)).toBe('early\n');
});

it('stays quick with many lines in many batches', () => {
	let log = applyEvents(EMPTY_BUILD_LOG, [HEAD, begun(1)]);
	for (let batch = 0; batch < 500; batch++) {
		const lines = Array.from({ length: 100 }, (_, at) => line(1, 'x'.repeat(80), batch * 100 + at + 1));
		log = applyEvents(log, lines);
	}
	expect(log.lastLine).toBe(50_000);
	expect(log.steps[0]?.output.hiddenChars).toBeGreaterThan(0);
});

it('makes steps of what a list tells of them', () => {
	const entry = (number: number, stdout: string, stderr: string) => ({
		...step(number, { ok: true, exit: 0 }),
		stdout,
		stderr
	});
	const steps = stepsOf([entry(2, '', ''), entry(1, '  in\tcolumns\n', 'oops\n')]);
	expect(steps.map(({ step, ok }) => [step, ok])).toEqual([
		[1, true],
		[2, true]
	]);
	expect(steps[0]?.output.pieces.map(({ stream, text }) => [stream, text])).toEqual([
		['stdout', '  in\tcolumns\n'],
		['stderr', 'oops\n']
	]);
	expect(steps[1]?.output.pieces).toEqual([]);
});

it('finds the step that failed', () => {
	const log = applyEvents(EMPTY_BUILD_LOG, [HEAD, ended(1), ended(2, false)]);
	expect(failedStep(log.steps)?.step).toBe(2);
	expect(failedStep(log.steps.slice(0, 1))).toBeUndefined();
});

it('adds what a look at the build tells to what was told of it', () => {
	const told = applyEvents(EMPTY_BUILD_LOG, [
		HEAD,
		begun(1),
		line(1, 'all of it', 1),
		ended(1),
		begun(2),
		line(2, 'the beginning', 2),
		begun(3)
	]);
	const entry = (number: number) => ({
		...step(number, { ok: true, exit: 0 }),
		stdout: 'the end',
		stderr: ''
	});
	const looked = withLook(told, { ...build({ current_step: 3 }), logs: [entry(1), entry(2)] });
	expect(looked.build).toEqual(build({ current_step: 3 }));
	expect([1, 2, 3].map((number) => text(looked, number))).toEqual(['all of it\n', 'the end', '']);
	expect(looked.steps.map(({ ok }) => ok)).toEqual([true, true, null]);

	const again = withLook(told, { ...build({ attempt: 2 }), logs: [entry(1)] });
	expect(again.steps.map(({ step }) => step)).toEqual([1]);
	expect(text(again, 1)).toBe('the end');
});
