/**
 * Keeping what comes out of a capsule, however large, without holding it in the memory of the page.
 *
 * Where the browser lets us write a file (Chromium, over HTTPS or on localhost) a large download goes
 * straight into the one that the user chooses. Elsewhere it is collected in blobs, which browsers move to
 * the disk, and saved when it is complete.
 */

/** Smaller ones are not worth a question. */
const ASK_FROM_BYTES = 64 * 1024 * 1024;
/** The bytes that the page holds before it hands them to the browser. */
const BLOB_BYTES = 8 * 1024 * 1024;
/** The time that the browser has to begin to read what it saves. */
const REVOKE_MS = 5_000;

interface SaveFilePicker {
	showSaveFilePicker: (options: { suggestedName: string }) => Promise<FileSystemFileHandle>;
}

/** The destination of a download. */
export interface Target {
	write: (chunk: Uint8Array<ArrayBuffer>) => Promise<void>;
	/** The download is complete. */
	finish: () => Promise<void>;
	/** The download will never be complete. */
	discard: () => Promise<void>;
}

/**
 * Chooses where to save; at once after a click, since browsers let nobody ask later. Null if the user
 * changed their mind.
 */
export async function chooseTarget(name: string, sizeBytes: number): Promise<Target | null> {
	if (sizeBytes < ASK_FROM_BYTES || !('showSaveFilePicker' in window)) return blobTarget(name);
	let handle: FileSystemFileHandle;
	try {
		const picker = window as unknown as SaveFilePicker;
		handle = await picker.showSaveFilePicker({ suggestedName: name });
	} catch (error) {
		if (error instanceof DOMException && error.name === 'AbortError') return null;
		return blobTarget(name);
	}
	const writable = await handle.createWritable();
	return {
		write: (chunk) => writable.write(chunk),
		finish: () => writable.close(),
		discard: () => writable.abort()
	};
}

function blobTarget(name: string): Target {
	let blobs: Blob[] = [];
	let chunks: Uint8Array<ArrayBuffer>[] = [];
	let chunkBytes = 0;
	const pack = () => {
		blobs.push(new Blob(chunks));
		chunks = [];
		chunkBytes = 0;
	};
	return {
		write: (chunk) => {
			chunks.push(chunk);
			chunkBytes += chunk.length;
			if (chunkBytes >= BLOB_BYTES) pack();
			return Promise.resolve();
		},
		finish: () => {
			pack();
			save(new Blob(blobs, { type: 'application/octet-stream' }), name);
			return Promise.resolve();
		},
		discard: () => {
			blobs = [];
			chunks = [];
			return Promise.resolve();
		}
	};
}

function save(blob: Blob, name: string): void {
	const url = URL.createObjectURL(blob);
	const link = document.createElement('a');
	link.href = url;
	link.download = name;
	link.click();
	setTimeout(() => URL.revokeObjectURL(url), REVOKE_MS);
}

/** Brings a body to its target. */
export async function pour(
	body: ReadableStream<Uint8Array<ArrayBuffer>>,
	target: Target,
	onProgress: (doneBytes: number) => void
): Promise<void> {
	const reader = body.getReader();
	let doneBytes = 0;
	try {
		for (;;) {
			const { done, value } = await reader.read();
			if (done) break;
			await target.write(value);
			doneBytes += value.length;
			onProgress(doneBytes);
		}
	} catch (error) {
		await reader.cancel().catch(() => undefined);
		await target.discard().catch(() => undefined);
		throw error;
	}
	await target.finish();
}
