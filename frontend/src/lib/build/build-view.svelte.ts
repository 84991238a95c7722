/**
 * A build that is followed while its page is seen.
 *
 *   connecting ──► live ──► over       (it has ended, and all of it is here)
 *        ▲           │
 *        └── lost ◄──┘                 (tried again after the last event that came)
 *
 * Everything comes over the stream, also what happened before: a page that is opened in the middle, or
 * anew, gets the same as one that was there from the beginning. What is refused for good is the error.
 */
import type { ApiError } from '../api/errors';
import { readBuildEvent } from './events';
import { applyEvents, EMPTY_BUILD_LOG, type BuildEvent, type BuildLog } from './log';
import { events } from '../events';
import { whileVisible } from '../polling/visible';
import type { BuildScope } from './scope';
import { followBuild } from './service';
import { followEvents, type EventFeed } from '../streams/event-feed';
import { FrameBatch } from '../streams/frame-batch';

export type Connection =
	{ kind: 'connecting' | 'live' | 'over' } | { kind: 'lost'; reason: string };

export class BuildView {
	readonly scope: BuildScope;
	readonly id: string;
	#log = $state.raw<BuildLog>(EMPTY_BUILD_LOG);
	#connection = $state.raw<Connection>({ kind: 'connecting' });
	#error = $state.raw<ApiError | null>(null);
	#lastId = '';
	#isSeen = false;
	#following: AbortController | undefined;
	readonly #incoming = new FrameBatch<BuildEvent>((batch) => {
		this.#log = applyEvents(this.#log, batch);
	});

	constructor(scope: BuildScope, id: string) {
		this.scope = scope;
		this.id = id;
	}

	get log(): BuildLog {
		return this.#log;
	}

	get connection(): Connection {
		return this.#connection;
	}

	/** Why it is not shown, or not any more; null if it is. */
	get error(): ApiError | null {
		return this.#error;
	}

	/** Follows it until the returned function is called. */
	watch(): () => void {
		const undo = [
			whileVisible(() => {
				this.#isSeen = true;
				this.#follow();
				return () => {
					this.#isSeen = false;
					this.#following?.abort();
				};
			}),
			// A different user, or the same user in another team, may not see it.
			events.on('session:changed', () => this.retry()),
			events.on('build:changed', (build) => {
				if (build.id === this.id) this.#incoming.push({ kind: 'build', build });
			})
		];
		return () => undo.forEach((release) => release());
	}

	/** Forgets what is known, and begins anew. */
	retry(): void {
		this.#following?.abort();
		this.#incoming.close();
		this.#log = EMPTY_BUILD_LOG;
		this.#lastId = '';
		this.#error = null;
		this.#connection = { kind: 'connecting' };
		if (this.#isSeen) this.#follow();
	}

	#follow(): void {
		if (this.#connection.kind === 'over' || this.#error) return;
		const following = new AbortController();
		this.#following = following;
		this.#connection = { kind: 'connecting' };
		const feed: EventFeed = {
			open: (lastId, signal) => followBuild(this.scope, this.id, lastId, signal),
			lastId: this.#lastId,
			onEvent: (event) => {
				const said = readBuildEvent(event);
				this.#lastId = event.id;
				if (this.#connection.kind !== 'live') this.#connection = { kind: 'live' };
				if (said) this.#incoming.push(said);
				if (said?.kind !== 'end') return;
				this.#connection = { kind: 'over' };
				following.abort();
			},
			onLost: (error) => {
				// A request that is wrong does not become right by being sent again.
				if (error.status >= 400 && error.status < 500) {
					this.#error = error;
					return 'give up';
				}
				this.#connection = { kind: 'lost', reason: error.message };
				return 'again';
			}
		};
		void followEvents(feed, following.signal);
	}
}
