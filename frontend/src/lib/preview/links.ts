/** The addresses of the ports of a capsule. */
import type { Capsule } from '../api/types';
import { texts } from '../texts';

export type PreviewAccess = Capsule['preview_access'];
type Previewed = Pick<Capsule, 'preview_url' | 'preview_access' | 'preview_token'>;

/** A port from what was typed, or why it is none. */
export function parsePort(text: string): { port: number } | { problem: string } {
	const port = Number(text.trim());
	if (!/^\d+$/.test(text.trim()) || port < 1 || port > 65_535) {
		return { problem: texts.preview.portProblem };
	}
	return { port };
}

/** The address of a port, without what a visitor must know. */
export function previewAddress({ preview_url }: Previewed, port: number | string): string {
	return preview_url.replace('{port}', String(port));
}

/** A link that works for whoever has it. */
export function previewLink(capsule: Previewed, port: number): string {
	const url = new URL(previewAddress(capsule, port));
	if (capsule.preview_access === 'token') {
		url.searchParams.set('wrenn_token', capsule.preview_token);
	}
	return url.href;
}
