/** The signals that people send, and what programs make of them. */
import type { Signal } from '../api/types';

export const SIGNALS: readonly { name: Signal; text: string }[] = [
	{ name: 'SIGTERM', text: 'asks it to end' },
	{ name: 'SIGKILL', text: 'ends it and its descendants at once' },
	{ name: 'SIGINT', text: 'as Ctrl-C' },
	{ name: 'SIGHUP', text: 'its terminal is gone; many read their settings again' },
	{ name: 'SIGQUIT', text: 'ends it, with a core dump' },
	{ name: 'SIGUSR1', text: 'what the program likes' },
	{ name: 'SIGUSR2', text: 'what the program likes' },
	{ name: 'SIGSTOP', text: 'lets it stand still' },
	{ name: 'SIGCONT', text: 'lets it go on' }
];
