/**
 * The worker that the tabs of a browser share: it holds their stream of events, see `hub.ts`.
 *
 * A tab that crashes says nothing. Where the browser has locks, each tab holds one as long as it lives, and the worker waits for it.
 */
import { Hub, type Tab } from './hub';
import { openStream } from './open-stream';
import type { ToWorker } from './protocol';

const hub = new Hub(openStream);

function connect(port: MessagePort): void {
	const tab: Tab = { send: (message) => port.postMessage(message) };
	port.onmessage = ({ data }: MessageEvent<ToWorker>) => {
		switch (data.kind) {
			case 'join':
				return hub.join(tab, data.token, data.isVisible);
			case 'seen':
				return hub.seen(tab, data.isVisible);
			case 'leave':
				return hub.leave(tab);
			case 'alive':
				void navigator.locks.request(data.lockName, () => hub.leave(tab));
		}
	};
	port.start();
}

addEventListener('connect', (event) => {
	const [port] = (event as MessageEvent).ports;
	if (port) connect(port);
});
