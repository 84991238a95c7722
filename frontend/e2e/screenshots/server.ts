/** Calls of the API without a browser, for what has to be there before a page is looked at. */
import type { Session } from '../dashboard';

export const BASE_URL = process.env.WRENN_BASE_URL ?? 'http://127.0.0.1:8000';

/** Emulated machines are slow to boot while others keep both cores busy. */
const ANSWERED_WITHIN_MS = 120_000;

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Calls the API as the user of a session, or as nobody; an answer that is an error is thrown. */
export async function ask<T = unknown>(
	session: Pick<Session, 'token'> | null,
	method: Method,
	path: string,
	data?: object
): Promise<T> {
	const isForm = data instanceof FormData;
	const answer = await fetch(BASE_URL + path, {
		method,
		headers: {
			...(session && { Authorization: `Bearer ${session.token}` }),
			...(data && !isForm && { 'Content-Type': 'application/json' })
		},
		body: isForm ? data : data && JSON.stringify(data),
		signal: AbortSignal.timeout(ANSWERED_WITHIN_MS)
	});
	const text = await answer.text();
	if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
	return (text === '' ? null : JSON.parse(text)) as T;
}

/** Calls `look` again and again until it returns something, and returns that. */
export async function waitFor<T>(
	what: string,
	withinMs: number,
	look: () => Promise<T | null>
): Promise<T> {
	const end = Date.now() + withinMs;
	for (;;) {
		const found = await look();
		if (found !== null) return found;
		if (Date.now() > end) throw new Error(`${what}: not within ${withinMs / 1000} s`);
		await new Promise((resolve) => setTimeout(resolve, 1_000));
	}
}
