/**
 * A folder of a capsule and the folders below it that were unfolded, kept up to date while they are looked at.
 *
 *   watch ──► ready ──► list, once for each folder ──► rows
 *     └─────► change ──► list the folder that it is in again, at most every so often
 *
 * Everything here is a use of the capsule, and would wake one that wakes on use, so whoever opens a folder
 * does so only while the capsule runs. Nothing is watched in a tab that nobody sees.
 */
/* eslint-disable svelte/prefer-svelte-reactivity -- what is shown is replaced as a whole, the rest is not shown */
import { untrack } from 'svelte';
import { isAbort, toApiError, type ApiError } from '../api/errors';
import { whileVisible } from '../polling/visible';
import { keepUnchanged, type Entry, type SortKey, type Sorting } from './entries';
import { FolderWatch } from './folder-watch';
import { parent } from './paths';
import { listFolder, watchFolder } from './service';
import { rowsOf, sortOnce, UNKNOWN, type FolderState, type Row } from './tree-rows';

/** Many changes at once are looked at once. */
const SETTLE_MS = 250;
/** Entries that take no time worth mentioning. */
const LONG_LIST = 1_000;

const pause = () => new Promise((pass) => setTimeout(pass));

export class FileTree {
	readonly #capsuleId: string;
	#root = $state('');
	#user = '';
	#folders = $state.raw<ReadonlyMap<string, FolderState>>(new Map());
	#expanded = $state.raw<ReadonlySet<string>>(new Set());
	#sorting = $state.raw<Sorting>({ key: 'name', isDescending: false });
	#activeId = $state('');
	/** The index of the row that the keyboard was at, for when that row is gone. */
	#activeAt = 0;
	#isLive = $state(false);
	#watch: FolderWatch | undefined;
	/** Folders that were listed since the watch began. */
	readonly #listed = new Set<string>();
	readonly #listings = new Map<string, AbortController>();
	readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();
	/** The view that shows a file wants to know that it changed. */
	readonly #onChange: (path: string) => void;
	readonly #rows: readonly Row[] = $derived(
		rowsOf(this.#root, this.#folders, this.#expanded, this.#sorting)
	);

	constructor(capsuleId: string, onChange: (path: string) => void = () => undefined) {
		this.#capsuleId = capsuleId;
		this.#onChange = onChange;
	}

	/** The folder that it begins with. */
	get root(): string {
		return this.#root;
	}

	get user(): string {
		return this.#user;
	}

	get rows(): readonly Row[] {
		return this.#rows;
	}

	get sorting(): Sorting {
		return this.#sorting;
	}

	/** True while changes are told as they happen. */
	get isLive(): boolean {
		return this.#isLive;
	}

	/** The known state of the folder that it begins with. */
	get rootState(): FolderState {
		return this.state(this.#root);
	}

	/** Which row the keyboard is at; -1 if there is none. */
	get activeAt(): number {
		const rows = this.#rows;
		const at = rows.findIndex(({ id }) => id === this.#activeId);
		return at >= 0 ? at : Math.min(this.#activeAt, rows.length - 1);
	}

	/** Moves the keyboard to a row. */
	activate(at: number): void {
		const row = this.#rows[at];
		if (!row) return;
		this.#activeAt = at;
		this.#activeId = row.id;
	}

	state(folder: string): FolderState {
		return this.#folders.get(folder) ?? UNKNOWN;
	}

	sortBy(key: SortKey): void {
		const { key: before, isDescending } = this.#sorting;
		this.#sorting = { key, isDescending: before === key && !isDescending };
	}

	/** Shows a folder, as a user sees it, until the returned function is called. */
	open(root: string, user: string): () => void {
		// An effect that calls this must not run again because of what is set here.
		untrack(() => {
			if (root !== this.#root || user !== this.#user) this.forget();
			this.#root = root;
			this.#user = user;
		});
		return whileVisible(() => {
			this.#listed.clear();
			const watch = new FolderWatch(
				(isDeep, signal) => watchFolder(this.#capsuleId, root, user, isDeep, signal),
				{
					onReady: (isGapless) => {
						this.#isLive = true;
						for (const folder of this.#listed) {
							if (!isGapless || folder !== root) this.#listSoon(folder);
						}
					},
					onChange: (paths) => paths.forEach((path) => this.#noteChange(path)),
					onOverflow: () => this.refresh(),
					onLost: () => (this.#isLive = false)
				}
			);
			this.#watch = watch;
			if (this.#expanded.size > 0) watch.deepen();
			void this.#listCovered(root, watch);
			for (const folder of this.#expanded) void this.#listCovered(folder, watch);
			return () => {
				watch.close();
				this.#watch = undefined;
				this.#isLive = false;
				this.#stop();
			};
		});
	}

	expand(folder: string): void {
		if (this.#expanded.has(folder)) return;
		this.#expanded = new Set([...this.#expanded, folder]);
		if (!this.#watch) return;
		this.#watch.deepen();
		void this.#listCovered(folder, this.#watch);
	}

	/** Folds it, and all that is unfolded in it. */
	collapse(folder: string): void {
		this.#expanded = new Set(
			[...this.#expanded].filter((one) => one !== folder && !one.startsWith(`${folder}/`))
		);
	}

	toggle(folder: string): void {
		if (this.#expanded.has(folder)) this.collapse(folder);
		else this.expand(folder);
	}

	/** Looks again now, at everything that is shown. */
	refresh(): void {
		this.#watch?.revive();
		for (const folder of [this.#root, ...this.#expanded]) void this.list(folder);
	}

	/** Looks at one folder again, if it is shown. */
	refreshFolder(folder: string): void {
		if (this.#watch && this.#isShown(folder)) void this.list(folder);
	}

	/** The names in a folder, whether it is shown or not. */
	async namesIn(folder: string): Promise<ReadonlySet<string>> {
		if (!this.state(folder).isLoaded) await this.list(folder);
		return new Set(this.state(folder).entries.map(({ name }) => name));
	}

	/** Lists a folder; what goes wrong is part of its state. */
	async list(folder: string): Promise<void> {
		this.#clearTimer(folder);
		this.#listings.get(folder)?.abort();
		const listing = new AbortController();
		this.#listings.set(folder, listing);
		this.#listed.add(folder);
		try {
			const list = await listFolder(this.#capsuleId, folder, this.#user, listing.signal);
			if (listing.signal.aborted) return;
			// A long list is processed in pieces, and the page takes clicks and keys between them.
			const isLong = list.entries.length > LONG_LIST;
			if (isLong) await pause();
			const entries = keepUnchanged(this.state(folder).entries, list.entries);
			if (isLong) await pause();
			sortOnce(entries, this.#sorting);
			if (isLong) await pause();
			if (listing.signal.aborted) return;
			this.#set(folder, {
				entries,
				isTruncated: list.truncated,
				isLoaded: true,
				error: null
			});
			this.#foldLost(folder, entries);
		} catch (error) {
			if (isAbort(error) || listing.signal.aborted) return;
			this.#setError(folder, toApiError(error));
		} finally {
			if (this.#listings.get(folder) === listing) this.#listings.delete(folder);
		}
	}

	/** Forgets what is known of all folders. */
	forget(): void {
		this.#stop();
		this.#folders = new Map();
		this.#expanded = new Set();
		this.#activeId = '';
		this.#activeAt = 0;
	}

	/** Waits until later changes will be told, so that one list is enough. */
	async #listCovered(folder: string, watch: FolderWatch): Promise<void> {
		await watch.covered();
		if (watch === this.#watch && this.#isShown(folder) && !this.#listings.has(folder)) {
			await this.list(folder);
		}
	}

	/** Folds what is not there any more, or it would be asked for again and again. */
	#foldLost(folder: string, entries: readonly Entry[]): void {
		const here = [...this.#expanded].filter((one) => parent(one) === folder);
		if (here.length === 0) return;
		const folders = new Set(entries.filter(({ type }) => type === 'directory').map(({ id }) => id));
		for (const one of here) if (!folders.has(one)) this.collapse(one);
	}

	#isShown(folder: string): boolean {
		return folder === this.#root || this.#expanded.has(folder);
	}

	#noteChange(path: string): void {
		this.#onChange(path);
		// A folder itself is told, too, when something about it changes.
		for (const folder of [parent(path), path]) {
			if (this.#isShown(folder)) this.#listSoon(folder);
		}
	}

	#listSoon(folder: string): void {
		if (this.#timers.has(folder)) return;
		const timer = setTimeout(() => {
			this.#timers.delete(folder);
			// A listing that is on its way is not given up for the next, or none would ever arrive.
			if (this.#listings.has(folder)) this.#listSoon(folder);
			else void this.list(folder);
		}, SETTLE_MS);
		this.#timers.set(folder, timer);
	}

	#set(folder: string, state: FolderState): void {
		this.#folders = new Map(this.#folders).set(folder, state);
	}

	#setError(folder: string, error: ApiError): void {
		this.#set(folder, { ...this.state(folder), error });
	}

	#clearTimer(folder: string): void {
		clearTimeout(this.#timers.get(folder));
		this.#timers.delete(folder);
	}

	#stop(): void {
		for (const listing of this.#listings.values()) listing.abort();
		this.#listings.clear();
		for (const folder of [...this.#timers.keys()]) this.#clearTimer(folder);
	}
}
