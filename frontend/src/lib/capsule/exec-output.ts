/** Output of a command, ready to be shown. */
import type { ExecResponse } from '../api/types';

/** More than this would make the page slow; the rest is counted, not shown. */
const SHOWN_CHARS = 200_000;

export interface Output {
	text: string;
	/** Characters left out at the front; the end is what one wants to see. */
	hiddenChars: number;
}

/** The text of one stream. Bytes that are not UTF-8 come as base64 and show as `�`. */
export function readOutput(data: string, encoding: ExecResponse['encoding']): Output {
	const text = encoding === 'base64' ? decodeBase64(data) : data;
	const hiddenChars = Math.max(0, text.length - SHOWN_CHARS);
	return { text: text.slice(hiddenChars), hiddenChars };
}

function decodeBase64(data: string): string {
	const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
	return new TextDecoder().decode(bytes);
}
