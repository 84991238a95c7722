/** Bytes in JSON frames. */

/** More arguments than this at once and some browsers run out of stack. */
const BATCH_BYTES = 8_192;

export function encodeBase64(bytes: Uint8Array): string {
	let binary = '';
	for (let at = 0; at < bytes.length; at += BATCH_BYTES) {
		binary += String.fromCharCode(...bytes.subarray(at, at + BATCH_BYTES));
	}
	return btoa(binary);
}

/** Throws if it is not base64. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
	return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}
