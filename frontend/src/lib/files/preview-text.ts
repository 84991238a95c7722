/** The beginning of a file, if it is text that can be shown. */

const SHOWN_BYTES = 512 * 1024;

export type FileText =
	| { kind: 'text'; text: string; isCut: boolean }
	| { kind: 'binary'; bytes: number; isCut: boolean };

/** Reads no more than what is shown. */
export async function readText(body: ReadableStream<Uint8Array>): Promise<FileText> {
	const reader = body.getReader();
	const bytes = new Uint8Array(SHOWN_BYTES);
	let length = 0;
	let isCut = false;
	try {
		for (;;) {
			const { done, value } = await reader.read();
			if (done) break;
			const room = SHOWN_BYTES - length;
			bytes.set(value.subarray(0, room), length);
			length += Math.min(value.length, room);
			isCut = value.length > room;
			if (isCut) break;
		}
	} finally {
		await reader.cancel().catch(() => undefined);
	}
	return decode(bytes.subarray(0, length), isCut);
}

function decode(bytes: Uint8Array, isCut: boolean): FileText {
	const binary: FileText = { kind: 'binary', bytes: bytes.length, isCut };
	if (bytes.includes(0)) return binary;
	try {
		// A letter that is cut in two at the end is no reason to call it binary.
		const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: isCut });
		return { kind: 'text', text, isCut };
	} catch {
		return binary;
	}
}
