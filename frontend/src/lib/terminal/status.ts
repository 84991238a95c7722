/** What is said about a terminal below it. */
import type { Life } from './life';

export interface LifeText {
	tone: 'live' | 'moving' | 'asleep' | 'gone' | 'broken';
	text: string;
}

/** @param secondsLeft until the next try, if it waits for one */
export function lifeText(life: Life, secondsLeft: number): LifeText {
	switch (life.kind) {
		case 'connecting':
			if (life.by === 'start') return { tone: 'moving', text: 'starting' };
			return { tone: 'moving', text: life.failures > 0 ? 'reconnecting' : 'connecting' };
		case 'open':
			return { tone: 'live', text: 'connected' };
		case 'checking':
			return { tone: 'moving', text: 'looking at the capsule' };
		case 'waiting':
			return {
				tone: 'moving',
				text: `${life.reason}; it runs on, and is reconnected in ${secondsLeft} s`
			};
		case 'asleep':
			return { tone: 'asleep', text: `the capsule is ${life.status}; this goes on when it runs` };
		case 'ended':
			return {
				tone: life.exitCode === 0 ? 'gone' : 'broken',
				text: `ended with exit code ${life.exitCode}`
			};
		case 'lost':
			return { tone: 'broken', text: `lost: ${life.reason}` };
	}
}
