/** The time of day, ticking once a second while something on a visible page shows an age. */
import { Poller } from '../polling/poller';

const TICK_MS = 1_000;

class Clock {
	nowMs = $state(Date.now());

	readonly #poller = new Poller<number>({
		task: () => Promise.resolve(Date.now()),
		onResult: (nowMs) => (this.nowMs = nowMs),
		onError: () => undefined,
		intervalMs: () => TICK_MS
	});

	/** Lets it tick until the returned function is called. */
	watch(): () => void {
		return this.#poller.acquire();
	}
}

export const clock = new Clock();
