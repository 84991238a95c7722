/**
 * State that belongs to the page of one capsule and outlives its tabs: a user who looks at files for
 * a moment finds the terminals as they were, and uploads go on meanwhile.
 */
import { createContext } from 'svelte';
import { FileBrowser } from '../files/browser.svelte';
import { TransferQueue } from '../files/transfers.svelte';
import { CapsuleView } from './capsule-view.svelte';
import { capsules } from './capsules.svelte';
import { parent } from '../files/paths';
import { ProcessList } from '../process/processes.svelte';
import { Metrics } from '../stats/metrics.svelte';
import { TerminalDesk } from '../terminal/desk.svelte';
import { ExecSession } from './exec-session.svelte';
import { CapsuleHistory } from './history.svelte';

export class CapsuleScope {
	readonly id: string;
	readonly view: CapsuleView;
	readonly history: CapsuleHistory;
	readonly metrics: Metrics;
	readonly exec: ExecSession;
	readonly terminals: TerminalDesk;
	readonly processes: ProcessList;
	readonly files: FileBrowser;
	readonly transfers: TransferQueue;

	constructor(id: string) {
		this.id = id;
		this.view = new CapsuleView(id);
		this.history = new CapsuleHistory(id);
		this.metrics = new Metrics(id);
		this.exec = new ExecSession(id);
		this.terminals = new TerminalDesk(id);
		this.processes = new ProcessList(id);
		this.files = new FileBrowser(id);
		this.transfers = new TransferQueue(({ kind, path }) => {
			// A watched folder is only updated a little sooner by this.
			if (kind === 'upload') this.files.tree.refreshFolder(parent(path));
		});
	}

	/** True if its processes and files can be reached now, without waking it. */
	get isRunning(): boolean {
		const { capsule } = this.view;
		return capsule?.status === 'running' && !capsule.operation;
	}

	/** True if it is no more. The server still tells of it as stopped, but the list is without it. */
	get isDestroyed(): boolean {
		const { capsule } = this.view;
		return (
			capsule?.status === 'stopped' &&
			!capsule.operation &&
			capsules.isLoaded &&
			!capsules.items.some(({ id }) => id === this.id)
		);
	}

	/** Ends what the page has begun; what runs in the capsule runs on. */
	dispose(): void {
		this.exec.close();
		this.terminals.dispose();
		this.transfers.close();
		this.files.close();
	}
}

export const [getCapsuleScope, setCapsuleScope] = createContext<CapsuleScope>();
