/**
 * The life of one terminal, as a function from what it is and what happens to what it is then.
 *
 *           ┌────────── due ──────────┐
 *           ▼                         │
 *       checking ── unreachable ──► waiting ◄── dropped ──┬──────┐
 *        │    │                                           │      │
 *        │    └─ capsule runs ──► connecting ── started ──┼──► open ── exited ──► ended
 *        └ it does not              ▲     │ refused       │ refused
 *              ▼                    │     └──► checking ◄─┘
 *            asleep ─ capsule runs ─┘             └─ capsule runs all the same ──► lost
 *
 * A dropped socket leaves the session running in the capsule, so a terminal comes back under its tag.
 * The tag is made up here: so even a socket that drops before the server has said `started` is no
 * reason to start the program a second time, without having asked for it under that tag first.
 *
 * Before each return the capsule is looked at: one that wakes up on use must not be woken by a
 * page that somebody forgot.
 */
import { backoffMs } from '../streams/backoff';

export type Life = Readonly<
	| { kind: 'connecting'; by: 'start' | 'connect'; failures: number; isKnown: boolean }
	| { kind: 'open' }
	/** `refusal` is what the server said when it would not have it; null if nothing. */
	| { kind: 'checking'; failures: number; isKnown: boolean; refusal: string | null }
	| { kind: 'waiting'; failures: number; isKnown: boolean; delayMs: number; reason: string }
	| { kind: 'asleep'; isKnown: boolean; status: string }
	| { kind: 'ended'; exitCode: number }
	| { kind: 'lost'; reason: string }
>;

export type LifeEvent =
	| { kind: 'started' }
	| { kind: 'exited'; exitCode: number }
	/** An error after which the server has nothing more to say. */
	| { kind: 'refused'; reason: string }
	| { kind: 'dropped'; reason: string }
	/** The answer to a check. */
	| { kind: 'capsule'; status: string }
	| { kind: 'unreachable'; reason: string }
	| { kind: 'gone'; reason: string }
	/** The time to wait is over, or somebody is impatient. */
	| { kind: 'due' };

/** `isKnown`: whether the server has ever said that the program runs. */
export const NEW: Life = { kind: 'connecting', by: 'start', failures: 0, isKnown: false };
/** A terminal that others have started. */
export const TAKEN_UP: Life = { kind: 'connecting', by: 'connect', failures: 0, isKnown: true };

export function next(life: Life, event: LifeEvent, random: number = Math.random()): Life {
	// A terminal that has ended or is lost stays so.
	if (life.kind === 'ended' || life.kind === 'lost') return life;

	const isKnown = life.kind === 'open' || life.isKnown;
	const failures = 'failures' in life ? life.failures : 0;
	const wait = (reason: string): Life => ({
		kind: 'waiting',
		failures: failures + 1,
		isKnown,
		delayMs: backoffMs(failures + 1, random),
		reason
	});

	switch (event.kind) {
		case 'exited':
			return { kind: 'ended', exitCode: event.exitCode };
		case 'gone':
			return { kind: 'lost', reason: event.reason };
		case 'started':
			return life.kind === 'connecting' ? { kind: 'open' } : life;
		case 'dropped':
			return life.kind === 'connecting' || life.kind === 'open' ? wait(event.reason) : life;
		case 'refused':
			if (life.kind === 'open') {
				return { kind: 'checking', failures, isKnown, refusal: event.reason };
			}
			if (life.kind !== 'connecting') return life;
			// The program was never started, as it turns out.
			if (life.by === 'connect' && !isKnown) return { ...life, by: 'start' };
			return { kind: 'checking', failures, isKnown, refusal: event.reason };
		case 'unreachable':
			return life.kind === 'checking' ? wait(event.reason) : life;
		case 'capsule':
			return afterCheck(life, event.status);
		case 'due':
			return life.kind === 'waiting'
				? { kind: 'checking', failures, isKnown, refusal: null }
				: life;
	}
}

function afterCheck(life: Life, status: string): Life {
	if (life.kind !== 'checking' && life.kind !== 'asleep') return life;
	const { isKnown } = life;
	if (status !== 'running') {
		const isSame = life.kind === 'asleep' && life.status === status;
		return isSame ? life : { kind: 'asleep', isKnown, status };
	}
	if (life.kind === 'asleep') return { kind: 'connecting', by: 'connect', failures: 0, isKnown };
	if (life.refusal !== null) return { kind: 'lost', reason: life.refusal };
	return { kind: 'connecting', by: 'connect', failures: life.failures, isKnown };
}

/** Returns true if there may be a program at the other end. */
export function isAlive({ kind }: Life): boolean {
	return kind !== 'ended' && kind !== 'lost';
}
