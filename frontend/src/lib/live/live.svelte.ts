/**
 * News of the server, as they happen: the tab's end of the stream that all tabs share.
 *
 *   worker ── news ──► events 'server:news' ──► managers look again
 *          ── live ──► `isLive`: while it holds, managers look seldom by themselves
 *
 * Without shared workers (some browsers on phones) the tab follows the events by itself.
 */
import { noteRefusal, bearer } from '../api/client';
import { events } from '../events';
import { session } from '../session/session.svelte';
import { Hub, type Tab } from './hub';
import { openStream } from './open-stream';
import type { ToTab, ToWorker } from './protocol';

class Live {
	#isLive = $state(false);
	#post: ((message: ToWorker) => void) | undefined;

	/** True while changes are told as they happen. */
	get isLive(): boolean {
		return this.#isLive;
	}

	/** Follows the events of the session that there is, until the returned function is called. */
	follow(): () => void {
		this.#post ??= this.#connect();
		const join = () => {
			const token = session.current?.token;
			if (token) this.#say({ kind: 'join', token, isVisible: isVisible() });
			else leave();
		};
		const leave = () => {
			this.#say({ kind: 'leave' });
			this.#isLive = false;
		};
		const look = () => this.#say({ kind: 'seen', isVisible: isVisible() });
		// A page that the browser keeps for the way back is away until it is shown again.
		addEventListener('pagehide', leave);
		addEventListener('pageshow', join);
		document.addEventListener('visibilitychange', look);
		const forget = [events.on('session:changed', join), events.on('session:renewed', join)];
		join();
		return () => {
			forget.forEach((undo) => undo());
			removeEventListener('pagehide', leave);
			removeEventListener('pageshow', join);
			document.removeEventListener('visibilitychange', look);
			leave();
		};
	}

	#say(message: ToWorker): void {
		this.#post?.(message);
	}

	#connect(): (message: ToWorker) => void {
		if (typeof SharedWorker === 'undefined') return this.#followAlone();
		const worker = new SharedWorker(new URL('./worker.ts', import.meta.url), {
			type: 'module',
			name: 'wrenn-events'
		});
		worker.port.onmessage = ({ data }: MessageEvent<ToTab>) => this.#take(data);
		worker.port.start();
		if ('locks' in navigator) {
			const lockName = `wrenn-tab-${Math.random().toString(36).slice(2)}`;
			void navigator.locks.request(lockName, () => {
				// Not before the lock is held: the worker would get it, and take the tab for gone.
				worker.port.postMessage({ kind: 'alive', lockName } satisfies ToWorker);
				return new Promise<never>(() => undefined);
			});
		}
		return (message) => worker.port.postMessage(message);
	}

	#followAlone(): (message: ToWorker) => void {
		const hub = new Hub(openStream);
		const tab: Tab = { send: (message) => this.#take(message) };
		return (message) => {
			if (message.kind === 'join') hub.join(tab, message.token, message.isVisible);
			else if (message.kind === 'seen') hub.seen(tab, message.isVisible);
			else if (message.kind === 'leave') hub.leave(tab);
		};
	}

	#take(message: ToTab): void {
		switch (message.kind) {
			case 'news':
				return events.emit('server:news', message.news);
			case 'reset':
				return events.emit('server:reset', undefined);
			case 'refused':
				return noteRefusal(bearer(message.token), message.refusal);
			case 'live':
				if (message.isLive === this.#isLive) return;
				this.#isLive = message.isLive;
				// Events of the time before are unknown; and whoever relied on news must look by itself from now on.
				return events.emit('server:reset', undefined);
		}
	}
}

function isVisible(): boolean {
	return document.visibilityState === 'visible';
}

export const live = new Live();
