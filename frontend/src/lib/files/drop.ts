/** Reads what was dropped onto the page: files, and folders with all that is in them. */

export interface DroppedFile {
	/** Below the folder it was dropped into, such as `src/main.rs`. */
	path: string;
	file: File;
}

export async function readDrop(transfer: DataTransfer): Promise<DroppedFile[]> {
	// Taken at once: the browser empties the transfer when the event is over.
	const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry());
	const files = Array.from(transfer.files);
	if (!entries.some((entry) => entry?.isDirectory)) return files.map(asDropped);
	const known = entries.filter((entry) => entry !== null);
	return (await Promise.all(known.map((entry) => walk(entry, '')))).flat();
}

export function asDropped(file: File): DroppedFile {
	return { path: file.webkitRelativePath || file.name, file };
}

async function walk(entry: FileSystemEntry, above: string): Promise<DroppedFile[]> {
	const path = above + entry.name;
	if (entry.isFile) {
		const file = await new Promise<File>((resolve, reject) =>
			(entry as FileSystemFileEntry).file(resolve, reject)
		);
		return [{ path, file }];
	}
	const reader = (entry as FileSystemDirectoryEntry).createReader();
	const files: DroppedFile[] = [];
	for (;;) {
		// A browser hands out a hundred or so at a time.
		const batch = await new Promise<FileSystemEntry[]>((resolve, reject) =>
			reader.readEntries(resolve, reject)
		);
		if (batch.length === 0) return files;
		for (const child of batch) files.push(...(await walk(child, `${path}/`)));
	}
}

/** Returns true if files are dragged, and not something of the page. */
export function carriesFiles(event: DragEvent): boolean {
	return event.dataTransfer?.types.includes('Files') ?? false;
}
