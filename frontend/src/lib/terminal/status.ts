/** The text about a terminal that is shown below it. */
import { texts } from '../texts';
import type { Life } from './life';

const words = texts.terminal.life;

export interface LifeText {
	tone: 'live' | 'moving' | 'asleep' | 'gone' | 'broken';
	text: string;
}

/** @param secondsLeft until the next try, if it waits for one */
export function lifeText(life: Life, secondsLeft: number): LifeText {
	switch (life.kind) {
		case 'connecting':
			if (life.by === 'start') return { tone: 'moving', text: words.starting };
			return { tone: 'moving', text: life.failures > 0 ? words.reconnecting : words.connecting };
		case 'open':
			return { tone: 'live', text: words.connected };
		case 'checking':
			return { tone: 'moving', text: words.checking };
		case 'waiting':
			return {
				tone: 'moving',
				text: words.waiting(life.reason, secondsLeft)
			};
		case 'asleep':
			return { tone: 'asleep', text: words.asleep(life.status) };
		case 'ended':
			return {
				tone: life.exitCode === 0 ? 'gone' : 'broken',
				text: words.ended(life.exitCode)
			};
		case 'lost':
			return { tone: 'broken', text: words.lost(life.reason) };
	}
}
