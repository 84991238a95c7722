/** The actions on a process: to see what it prints, or to open its terminal, and the signals that it can be sent. */
import CirclePause from '@lucide/svelte/icons/circle-pause';
import CirclePlay from '@lucide/svelte/icons/circle-play';
import CircleStop from '@lucide/svelte/icons/circle-stop';
import CircleX from '@lucide/svelte/icons/circle-x';
import ScrollText from '@lucide/svelte/icons/scroll-text';
import SquareTerminal from '@lucide/svelte/icons/square-terminal';
import Zap from '@lucide/svelte/icons/zap';
import type { ProcessEntry, Signal } from '../api/types';
import type { Action } from '../components/action';
import { denial, type Principal } from '../session/principal.svelte';
import { texts } from '../texts';

const words = texts.process;

/** The signals that people send, in the order of how often. */
export const SIGNALS = [
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

const ICONS: Partial<Record<Signal, Action['icon']>> = {
	SIGTERM: CircleStop,
	SIGKILL: CircleX,
	SIGINT: CircleStop,
	SIGQUIT: CircleStop,
	SIGSTOP: CirclePause,
	SIGCONT: CirclePlay
};

export interface ProcessActs {
	/** Shows what it prints. */
	follow: () => void;
	openTerminal: () => void;
	/** Sends it, or asks first. */
	signal: (signal: Signal) => void;
}

export function getProcessActions(
	principal: Principal,
	{ pid, terminal }: Pick<ProcessEntry, 'pid' | 'terminal'>,
	acts: ProcessActs
): Action[] {
	// A terminal is followed by opening it.
	const look: Action = terminal
		? {
				id: 'terminal',
				text: words.openTerminal,
				label: words.openTerminalOf(pid),
				icon: SquareTerminal,
				obstacle: denial(principal, 'pty'),
				run: acts.openTerminal
			}
		: {
				id: 'follow',
				text: words.follow,
				label: words.followOf(pid),
				icon: ScrollText,
				obstacle: denial(principal, 'follow_process'),
				run: acts.follow
			};
	const obstacle = denial(principal, 'kill_process');
	return [
		look,
		...SIGNALS.map((signal): Action => ({
			id: signal,
			text: signal,
			label: words.sendSignal(signal, pid),
			hint: words.signals[signal],
			icon: ICONS[signal] ?? Zap,
			obstacle,
			look: signal === 'SIGKILL' ? 'danger' : 'plain',
			run: () => acts.signal(signal)
		}))
	];
}
