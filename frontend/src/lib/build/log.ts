/**
 * All that is known of a build: its head, its steps, what these printed.
 *
 *   build event ──► head; a later attempt begins with no steps
 *   step event  ──► the step with that number begins, or has ended; begun at another time, it is a later
 *                   attempt's, of which the head is told after its first steps
 *   line event  ──► the end of that step's output
 *
 * Events may come again after a connection was lost; lines that are known are left out then. What does
 * not change stays the same object, so that a page draws only what is new.
 */
import type { Build, BuildHead, LogEntry } from '../api/types';
import { append, EMPTY_LOG, type OutputLog, type Print } from '../output/output-log';
import { isSame } from '../polling/reconcile';

export type StepHead = Omit<LogEntry, 'stdout' | 'stderr'>;

export interface StepLog extends StepHead {
	output: OutputLog;
}

export interface BuildLog {
	/** Null until it was told. */
	build: BuildHead | null;
	/** By their numbers, which need not be without gaps. */
	steps: readonly StepLog[];
	/** Number of the latest line. */
	lastLine: number;
	/** Steps of a later attempt came already, but not yet its head. */
	hasBegunAnew: boolean;
	/** True if nothing comes any more. */
	isComplete: boolean;
}

/** A little more than the server keeps of a step, so that all of it is shown. */
const SHOWN_CHARS = 1_200_000;

export interface Line {
	step: number;
	stream: 'stdout' | 'stderr';
	text: string;
	/** Grows from line to line; null where the server does not count. */
	number: number | null;
}

export type BuildEvent =
	| { kind: 'build'; build: BuildHead }
	| { kind: 'step'; step: StepHead }
	| { kind: 'line'; line: Line }
	| { kind: 'end' };

export const EMPTY_BUILD_LOG: BuildLog = {
	build: null,
	steps: [],
	lastLine: 0,
	hasBegunAnew: false,
	isComplete: false
};

export function applyEvents(log: BuildLog, events: readonly BuildEvent[]): BuildLog {
	let { build, lastLine, hasBegunAnew, isComplete } = log;
	const steps = new Map(log.steps.map((step) => [step.step, step]));
	/** Lines wait until it is known how many there are, and are then taken in at once. */
	const prints = new Map<number, Print[]>();
	const beginAnew = () => {
		steps.clear();
		prints.clear();
	};

	for (const event of events) {
		switch (event.kind) {
			case 'build':
				if (build && event.build.attempt > build.attempt) {
					if (!hasBegunAnew) beginAnew();
					hasBegunAnew = false;
				}
				if (!isSame(build, event.build)) build = event.build;
				break;
			case 'step': {
				const before = steps.get(event.step.step)?.started_at;
				// A step of which only the output is known has begun at no known time.
				if (before && before !== event.step.started_at) {
					beginAnew();
					hasBegunAnew = true;
				}
				const known = steps.get(event.step.step);
				const step = { ...event.step, output: known?.output ?? EMPTY_LOG };
				if (!isSame(known, step)) steps.set(step.step, step);
				break;
			}
			case 'line': {
				const { step, stream, text, number } = event.line;
				if (number !== null && number <= lastLine) break;
				lastLine = number ?? lastLine;
				const known = prints.get(step) ?? [];
				known.push({ stream: isNote(text) ? 'note' : stream, text: `${text}\n` });
				prints.set(step, known);
				break;
			}
			case 'end':
				isComplete = true;
				break;
		}
	}
	for (const [number, printed] of prints) {
		const step = steps.get(number) ?? unknownStep(number);
		steps.set(number, { ...step, output: append(step.output, printed, SHOWN_CHARS) });
	}
	return {
		build,
		steps: [...steps.values()].sort((a, b) => a.step - b.step),
		lastLine,
		hasBegunAnew,
		isComplete
	};
}

/** Returns true if the server says by this line that it has left out a part of the output. */
function isNote(line: string): boolean {
	return /^\[\d+ lines are left out here\b.*\]$/.test(line);
}

/** A step of which only its output is known so far. */
function unknownStep(step: number): StepLog {
	return {
		step,
		phase: 'recipe',
		cmd: '',
		exit: null,
		ok: null,
		elapsed_ms: 0,
		cached: false,
		started_at: '',
		output: EMPTY_LOG
	};
}

/** Returns the steps as a list tells of them: with the ends of what they printed, stderr last. */
export function stepsOf(entries: readonly LogEntry[]): StepLog[] {
	return entries
		.map(({ stdout, stderr, ...head }) => ({
			...head,
			output: append(EMPTY_LOG, [
				{ stream: 'stdout', text: stdout },
				{ stream: 'stderr', text: stderr }
			])
		}))
		.sort((a, b) => a.step - b.step);
}

/**
 * Returns what a look at a build adds to what was told of it: its head, and the steps that have ended since, with the ends of
 * what they printed. Steps that were told to their end stay whole.
 */
export function withLook(told: BuildLog, { logs, ...build }: Build): BuildLog {
	const isSameAttempt = told.build === null || told.build.attempt === build.attempt;
	const known = isSameAttempt && !told.hasBegunAnew ? told.steps : [];
	const steps = new Map(known.map((step) => [step.step, step]));
	for (const step of stepsOf(logs)) {
		if ((steps.get(step.step)?.ok ?? null) === null) steps.set(step.step, step);
	}
	return {
		...told,
		build,
		steps: [...steps.values()].sort((a, b) => a.step - b.step)
	};
}

/** The step that a build failed in, if it was in one. */
export function failedStep(steps: readonly StepLog[]): StepLog | undefined {
	return steps.findLast(({ ok }) => ok === false);
}
