/**
 * The file that is shown beside the tree, and the changes that somebody makes to it.
 *
 *   show ──► loading ──► text ──► draft ──► saved (is it still what was read? then write it)
 *               ├──────► image, binary, large
 *               └──────► error
 *
 * A newer question makes the answers to older ones worthless, so the page shows the content of the file that is chosen now,
 * however late others arrive.
 */
import { isAbort, toApiError, type ApiError } from '../api/errors';
import type { FileEntry } from '../api/types';
import {
	EDITED_BYTES,
	imageType,
	readText,
	SHOWN_BYTES,
	shownText,
	type ShownText
} from './content';
import { isReadable } from './entries';
import { fromEdited, toEdited } from './line-endings';
import { readImage, resolveLink, statEntry, streamFile, writeText } from './service';

export type Content =
	| { kind: 'loading' }
	/** A folder, a device: there is nothing to read. */
	| { kind: 'none' }
	| { kind: 'text'; text: string; shown: ShownText; isCut: boolean }
	/** For an `<img>`, where nothing in it can run. */
	| { kind: 'image'; address: string }
	| { kind: 'binary' }
	| { kind: 'large' }
	| { kind: 'error'; error: ApiError };

/** A file that changes all the time is not read all the time. */
const RELOAD_MS = 1_000;

export class FileView {
	readonly #capsuleId: string;
	#entry = $state.raw<FileEntry | null>(null);
	/** The entry that is read and written; for a link, the one that it leads to. */
	#target = $state.raw<FileEntry | null>(null);
	#content = $state.raw<Content>({ kind: 'none' });
	#draft = $state<string | null>(null);
	#isSaving = $state(false);
	#saveError = $state.raw<ApiError | null>(null);
	/** The file was changed by others since it was read. */
	#isStale = $state(false);
	#user = '';
	#loading: AbortController | undefined;
	#timer: ReturnType<typeof setTimeout> | undefined;

	constructor(capsuleId: string) {
		this.#capsuleId = capsuleId;
	}

	/** The entry that is shown; null if nothing was chosen. */
	get entry(): FileEntry | null {
		return this.#entry;
	}

	get target(): FileEntry | null {
		return this.#target;
	}

	get content(): Content {
		return this.#content;
	}

	/** The text that was typed; null while nobody edits. */
	get draft(): string | null {
		return this.#draft;
	}

	set draft(text: string | null) {
		this.#draft = text;
	}

	get isSaving(): boolean {
		return this.#isSaving;
	}

	get saveError(): ApiError | null {
		return this.#saveError;
	}

	get isStale(): boolean {
		return this.#isStale;
	}

	get isDirty(): boolean {
		const content = this.#content;
		return (
			this.#draft !== null && content.kind === 'text' && this.#draft !== toEdited(content.text)
		);
	}

	get canEdit(): boolean {
		const content = this.#content;
		return (
			content.kind === 'text' && !content.isCut && (this.#target?.size ?? Infinity) <= EDITED_BYTES
		);
	}

	/** Shows an entry, as a user sees it; what was typed is forgotten. */
	show(entry: FileEntry, user: string): void {
		this.close();
		this.#entry = entry;
		this.#user = user;
		if (!isReadable(entry)) return;
		this.#put({ kind: 'loading' });
		void this.#load();
	}

	close(): void {
		this.#loading?.abort();
		clearTimeout(this.#timer);
		this.#timer = undefined;
		this.#entry = null;
		this.#target = null;
		this.#put({ kind: 'none' });
		this.cancelEdit();
	}

	/** Reads it again. */
	async reload(): Promise<void> {
		if (this.#entry && isReadable(this.#entry)) await this.#load();
	}

	/** Something at this path was changed. */
	noteChange(path: string): void {
		if (path !== this.#entry?.path && path !== this.#target?.path) return;
		if (this.#isSaving || this.#timer !== undefined) return;
		this.#timer = setTimeout(() => {
			this.#timer = undefined;
			if (this.#draft === null) void this.reload();
			else void this.#check();
		}, RELOAD_MS);
	}

	edit(): void {
		if (this.canEdit && this.#content.kind === 'text') this.#draft = toEdited(this.#content.text);
	}

	/** Forgets what was typed. */
	cancelEdit(): void {
		const wasStale = this.#isStale;
		this.#draft = null;
		this.#saveError = null;
		this.#isStale = false;
		if (wasStale) void this.reload();
	}

	/**
	 * Writes what was typed, unless the file is not what it was when it was read. Returns whether it was written; what went
	 * wrong is kept.
	 */
	async save(isForced = false): Promise<'saved' | 'changed' | 'failed'> {
		const content = this.#content;
		const target = this.#target;
		if (content.kind !== 'text' || this.#draft === null || !target) return 'failed';
		if (this.#isSaving) return 'failed';
		this.#isSaving = true;
		this.#saveError = null;
		const typed = this.#draft;
		const text = fromEdited(content.text, typed);
		try {
			if (!isForced && (await this.#isChanged(target))) {
				this.#isStale = true;
				return 'changed';
			}
			await writeText(this.#capsuleId, target.path, this.#user, text);
			const written = await statEntry(this.#capsuleId, target.path, this.#user);
			// Something else may have been chosen meanwhile.
			if (this.#target !== target) return 'saved';
			this.#target = written;
			if (this.#entry?.path === written.path) this.#entry = written;
			this.#put({ kind: 'text', text, shown: shownText(text), isCut: false });
			this.#isStale = false;
			// A user who went on typing meanwhile has something to save again.
			if (this.#draft === typed) this.#draft = null;
			return 'saved';
		} catch (error) {
			if (this.#target === target) this.#saveError = toApiError(error);
			return 'failed';
		} finally {
			this.#isSaving = false;
		}
	}

	#put(content: Content): void {
		// The browser keeps the bytes of an image until it is told that nobody needs them.
		if (this.#content.kind === 'image') URL.revokeObjectURL(this.#content.address);
		this.#content = content;
	}

	async #check(): Promise<void> {
		const target = this.#target;
		if (!target) return;
		const isChanged = await this.#isChanged(target).catch(() => false);
		if (this.#target === target && this.#draft !== null) this.#isStale = isChanged;
	}

	async #isChanged(target: FileEntry): Promise<boolean> {
		try {
			const now = await statEntry(this.#capsuleId, target.path, this.#user);
			return now.size !== target.size || now.modified_at !== target.modified_at;
		} catch (error) {
			if (toApiError(error).status === 404) return true;
			throw error;
		}
	}

	async #load(): Promise<void> {
		this.#loading?.abort();
		const loading = new AbortController();
		this.#loading = loading;
		const { signal } = loading;
		try {
			const entry = this.#entry;
			if (!entry) return;
			// Before the content: whatever happens to the file after this is noticed when it is saved.
			const target = await resolveLink(this.#capsuleId, entry.path, this.#user, signal);
			if (signal.aborted) return;
			const content = await this.#read(target, signal);
			if (signal.aborted) {
				if (content.kind === 'image') URL.revokeObjectURL(content.address);
				return;
			}
			this.#target = target;
			if (entry.path === target.path) this.#entry = target;
			this.#put(content);
		} catch (error) {
			if (isAbort(error) || signal.aborted) return;
			this.#put({ kind: 'error', error: toApiError(error) });
		}
	}

	async #read(target: FileEntry, signal: AbortSignal): Promise<Content> {
		if (!isReadable(target)) return { kind: 'none' };
		if (target.size > SHOWN_BYTES) return { kind: 'large' };
		const type = imageType(target.name);
		if (type) {
			const bytes = await readImage(this.#capsuleId, target.path, this.#user, signal);
			if (bytes.size > SHOWN_BYTES) return { kind: 'large' };
			signal.throwIfAborted();
			return { kind: 'image', address: URL.createObjectURL(new Blob([bytes], { type })) };
		}
		const body = await streamFile(this.#capsuleId, target.path, this.#user, signal);
		const read = await readText(body, target.size <= EDITED_BYTES);
		if (read.kind === 'binary') return read;
		return { ...read, shown: shownText(read.text) };
	}
}
