/** The signals that people send, and what programs make of them. */
import type { Signal } from '../api/types';
import { texts } from '../texts';

const NAMES = [
	'SIGTERM',
	'SIGKILL',
	'SIGINT',
	'SIGHUP',
	'SIGQUIT',
	'SIGUSR1',
	'SIGUSR2',
	'SIGSTOP',
	'SIGCONT'
] as const satisfies readonly Signal[];

export const SIGNALS: readonly { name: Signal; text: string }[] = NAMES.map((name) => ({
	name,
	text: texts.process.signals[name]
}));
