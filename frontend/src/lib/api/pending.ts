/** Shapes of the API until the generated client knows them. */
import { session } from '../managers/session.svelte';
import { ApiError, errorFromAnswer, errorFromThrown, isAbort } from './errors';

export interface ProcessEntry {
	pid: number;
	tag: string;
	cmd: string;
	args: string[];
	terminal: boolean;
	user: string;
	started_at: string;
}

export interface FileEntry {
	name: string;
	path: string;
	type: 'file' | 'directory' | 'symlink';
	special?: 'fifo' | 'socket' | 'char_device' | 'block_device' | null;
	size: number;
	mode: number;
	permissions: string;
	owner: string;
	group: string;
	modified_at: number;
	symlink_target?: string | null;
}

export async function request(
	method: string,
	path: string,
	body?: unknown,
	signal?: AbortSignal
): Promise<Response> {
	let response: Response;
	try {
		response = await fetch(path, {
			method,
			signal,
			headers: {
				Authorization: `Bearer ${session.current?.token ?? ''}`,
				...(body === undefined ? {} : { 'Content-Type': 'application/json' })
			},
			body: body === undefined ? undefined : JSON.stringify(body)
		});
	} catch (cause) {
		throw isAbort(cause) ? cause : errorFromThrown(cause);
	}
	if (response.ok) return response;
	throw errorFromAnswer(response.status, await response.json().catch(() => null));
}

export async function requestJson<T>(...args: Parameters<typeof request>): Promise<T> {
	const response = await request(...args);
	return (await response.json()) as T;
}

export { ApiError };
