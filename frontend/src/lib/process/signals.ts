/** The signals that the API sends, and what programs make of them. */

export const SIGNALS = [
	{ name: 'SIGTERM', text: 'asks it to end' },
	{ name: 'SIGKILL', text: 'ends it and its descendants at once' },
	{ name: 'SIGINT', text: 'as Ctrl-C' },
	{ name: 'SIGHUP', text: 'its terminal is gone; many read their settings again' },
	{ name: 'SIGQUIT', text: 'ends it, with a core dump' },
	{ name: 'SIGUSR1', text: 'what the program likes' },
	{ name: 'SIGUSR2', text: 'what the program likes' },
	{ name: 'SIGSTOP', text: 'lets it stand still' },
	{ name: 'SIGCONT', text: 'lets it go on' }
] as const;

export type Signal = (typeof SIGNALS)[number]['name'];
