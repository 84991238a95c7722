/**
 * A build that is followed while its page is seen.
 *
 *   connecting ──► live ──► over       (it has ended, and all of it is here)
 *        ▲           │
 *        └── lost ◄──┘                 (tried again after the last event that came)
 *              └──► looking            (the stream was lost twice in a row: the build is asked for meanwhile)
 *
 * Everything comes over the stream, also what happened before: a page that is opened in the middle, or
 * anew, gets the same as one that was there from the beginning. What is refused for good is the error.
 */
import { toApiError, type ApiError } from '../api/errors';
import type { Build } from '../api/types';
import { readBuildEvent } from './events';
import { applyEvents, EMPTY_BUILD_LOG, withLook, type BuildEvent, type BuildLog } from './log';
import { events } from '../events';
import { Poller } from '../polling/poller';
import { isSame } from '../polling/reconcile';
import { whileVisible } from '../polling/visible';
import type { BuildScope } from './scope';
import { followBuild, getBuild } from './service';
import { isOpen } from './status';
import { followEvents, type EventFeed } from '../streams/event-feed';
import { FrameBatch } from '../streams/frame-batch';

export type Connection =
	{ kind: 'connecting' | 'live' | 'over' } | { kind: 'lost' | 'looking'; reason: string };

/** A proxy that lets no stream through still lets requests through. */
const LOOK_MS = 3_000;
/** A stream that was lost once is usually there again in a moment. */
const LOSSES_BEFORE_LOOKING = 2;

export class BuildView {
	readonly scope: BuildScope;
	readonly id: string;
	#log = $state.raw<BuildLog>(EMPTY_BUILD_LOG);
	#connection = $state.raw<Connection>({ kind: 'connecting' });
	#error = $state.raw<ApiError | null>(null);
	/** The latest look at the build, while the stream is lost. */
	#look = $state.raw<Build | null>(null);
	#lookError = $state.raw<ApiError | null>(null);
	#losses = 0;
	#stopLooking: (() => void) | undefined;
	#lastId = '';
	#isSeen = false;
	#following: AbortController | undefined;
	readonly #incoming = new FrameBatch<BuildEvent>((batch) => {
		this.#log = applyEvents(this.#log, batch);
		if (this.#connection.kind === 'live' || this.#connection.kind === 'over') this.#look = null;
	});
	readonly #shown = $derived(this.#look ? withLook(this.#log, this.#look) : this.#log);
	readonly #looker = new Poller<Build>({
		task: (signal) => getBuild(this.scope, this.id, signal),
		onResult: (build) => this.#takeLook(build),
		onError: (error) => {
			this.#lookError = toApiError(error);
			this.#note('lost');
		},
		intervalMs: () => LOOK_MS
	});

	constructor(scope: BuildScope, id: string) {
		this.scope = scope;
		this.id = id;
	}

	get log(): BuildLog {
		return this.#shown;
	}

	get connection(): Connection {
		return this.#connection;
	}

	/** Why it is not shown, or not any more; null if it is. */
	get error(): ApiError | null {
		return this.#error ?? (this.#shown.build === null ? this.#lookError : null);
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
					this.#endLooking();
				};
			}),
			// A different user, or the same user in another team, may not see it.
			events.on('session:changed', () => this.retry()),
			events.on('build:changed', (build) => {
				if (build.id !== this.id) return;
				this.#incoming.push({ kind: 'build', build });
				this.#looker.refresh();
			})
		];
		return () => undo.forEach((release) => release());
	}

	/** Forgets what is known, and begins anew. */
	retry(): void {
		this.#following?.abort();
		this.#endLooking();
		this.#incoming.close();
		this.#look = null;
		this.#lookError = null;
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
				this.#endLooking();
				if (this.#connection.kind !== 'live') this.#connection = { kind: 'live' };
				if (said) this.#incoming.push(said);
				if (said?.kind !== 'end') return;
				this.#connection = { kind: 'over' };
				following.abort();
			},
			onLost: (error) => {
				// A request that is wrong does not become right by being sent again.
				if (error.status >= 400 && error.status < 500) {
					this.#endLooking();
					this.#error = error;
					return 'give up';
				}
				this.#losses += 1;
				this.#note(this.#connection.kind === 'looking' ? 'looking' : 'lost', error.message);
				if (this.#losses >= LOSSES_BEFORE_LOOKING) this.#beginLooking();
				return 'again';
			}
		};
		void followEvents(feed, following.signal);
	}

	/** Says how the page hears of the build while the stream is lost. */
	#note(kind: 'lost' | 'looking', reason?: string): void {
		const known = this.#connection;
		const former = known.kind === 'lost' || known.kind === 'looking' ? known.reason : '';
		this.#connection = { kind, reason: reason ?? former };
	}

	#beginLooking(): void {
		// A build that has ended changes no more: the rest of its log comes by the stream.
		if (this.#look && !isOpen(this.#look)) return;
		this.#stopLooking ??= this.#looker.acquire();
	}

	#endLooking(): void {
		this.#losses = 0;
		this.#stopLooking?.();
		this.#stopLooking = undefined;
	}

	#takeLook(build: Build): void {
		this.#lookError = null;
		if (!isSame(this.#look, build)) this.#look = build;
		if (isOpen(build)) this.#note('looking');
		else {
			this.#endLooking();
			this.#note('lost');
		}
	}
}
