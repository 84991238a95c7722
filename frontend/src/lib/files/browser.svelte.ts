/**
 * The files of one capsule as its page shows them: a tree, what is chosen in it, and questions that must be answered first.
 *
 * It outlives the page's tabs, so that a tree is found as it was left. What was typed is not: leaving it asks.
 */
import { untrack } from 'svelte';
import { events } from '../events';
import type { FileEntry } from '../api/types';
import { FileTree } from './tree.svelte';
import { FileView } from './view.svelte';

export class FileBrowser {
	readonly view: FileView;
	readonly tree: FileTree;
	/** The part that small screens show: the tree, or what is chosen in it. */
	step = $state<'first' | 'second'>('first');
	/** An action that the user wants and that would lose what was typed. */
	#leaving = $state.raw<(() => void) | null>(null);
	readonly #forget: () => void;

	constructor(capsuleId: string) {
		this.view = new FileView(capsuleId);
		this.tree = new FileTree(capsuleId, (path) => this.view.noteChange(path));
		this.#forget = events.on('session:changed', () => {
			this.view.close();
			this.tree.forget();
		});
	}

	get isLeaving(): boolean {
		return this.#leaving !== null;
	}

	/** Shows a folder until the returned function is called; what is not in it is not shown any more. */
	open(root: string, user: string): () => void {
		untrack(() => {
			const shown = this.view.entry?.path;
			if (shown === undefined) return;
			const isBelow = shown.startsWith(root === '/' ? '/' : `${root}/`);
			if (user !== this.tree.user || !isBelow) this.view.close();
		});
		return this.tree.open(root, user);
	}

	/** The folder for new things: the one that is chosen, or the one of the chosen file. */
	get folder(): string {
		const { entry } = this.view;
		if (!entry) return this.tree.root;
		if (entry.type === 'directory') return entry.path;
		return entry.path.slice(0, entry.path.lastIndexOf('/')) || '/';
	}

	/** Does something, after a question if that loses what was typed. */
	leave(act: () => void): void {
		if (this.view.isDirty) this.#leaving = act;
		else act();
	}

	/** The answer to that question. */
	answer(isLost: boolean): void {
		const act = this.#leaving;
		this.#leaving = null;
		if (!isLost) return;
		this.view.cancelEdit();
		act?.();
	}

	/** Shows what is at an entry. */
	choose(entry: FileEntry): void {
		this.leave(() => this.view.show(entry, this.tree.user));
	}

	/** Something was removed or moved away. */
	gone(path: string): void {
		const shown = this.view.entry?.path;
		if (shown === path || shown?.startsWith(`${path}/`)) {
			this.view.close();
			this.step = 'first';
		}
		this.tree.collapse(path);
	}

	close(): void {
		this.#forget();
		this.view.close();
		this.tree.forget();
	}
}
