/**
 * The error type for everything that can go wrong with a request.
 *
 *   answer with {"error":{code,message}}  → that code and message
 *   answer with anything else             → `bad_response` and what is known of it
 *   no answer                             → `unreachable`
 *   aborted by us                         → passed on untouched, see {@link isAbort}
 */

/** A request that failed, with a code of the wire contract or one of the two codes made here. */
export class ApiError extends Error {
	override readonly name = 'ApiError';

	constructor(
		readonly code: string,
		message: string,
		/** HTTP status, 0 if there was no answer. */
		readonly status: number,
		options?: ErrorOptions
	) {
		super(message, options);
	}
}

interface Outcome<T> {
	data?: T;
	error?: unknown;
	response: Response;
}

/** Waits for a call of the generated client and returns its data, or throws an {@link ApiError}. */
export async function unwrap<T>(call: Promise<Outcome<T>>): Promise<T> {
	let outcome: Outcome<T>;
	try {
		outcome = await call;
	} catch (cause) {
		throw isAbort(cause) ? cause : errorFromThrown(cause);
	}
	if (!outcome.response.ok) throw errorFromAnswer(outcome.response.status, outcome.error);
	return outcome.data as T;
}

/** A part of a long list. */
export interface Page<T> {
	items: T[];
	/** Token of the page behind it; null if it is the last one. */
	next: string | null;
}

/** As {@link unwrap}, for a call that lists a page. */
export async function unwrapPage<T>(call: Promise<Outcome<T[]>>): Promise<Page<T>> {
	const items = await unwrap(call);
	return { items, next: await nextPage(call) };
}

/** Returns the token of the page behind the one that a successful call has listed; null if that is the last one. */
export async function nextPage(call: Promise<{ response: Response }>): Promise<string | null> {
	return (await call).response.headers.get('X-Next-Token');
}

/** A success that is not the one that was asked for. */
export function unexpectedAnswer(): ApiError {
	return new ApiError('bad_response', 'The server answered with something unexpected.', 0);
}

/** Returns true if `error` only says that we gave the request up ourselves. */
export function isAbort(error: unknown): boolean {
	return error instanceof DOMException && error.name === 'AbortError';
}

/** The end of a session by the server: its token is good no more, or the account is switched off. */
export type Refusal = 'expired' | 'disabled';

/** The end of the session that an error tells of; null if it is about something else. */
export function refusalIn({ status, code }: Pick<ApiError, 'status' | 'code'>): Refusal | null {
	if (status === 401) return 'expired';
	return code === 'account_disabled' ? 'disabled' : null;
}

/** Turns whatever was thrown into something that can be shown. */
export function toApiError(error: unknown): ApiError {
	return error instanceof ApiError ? error : errorFromThrown(error);
}

function errorFromThrown(cause: unknown): ApiError {
	if (cause instanceof SyntaxError) {
		return new ApiError('bad_response', 'The server answered with something unreadable.', 0, {
			cause
		});
	}
	return new ApiError('unreachable', 'The server cannot be reached.', 0, { cause });
}

export function errorFromAnswer(status: number, body: unknown): ApiError {
	if (isContractError(body)) return new ApiError(body.error.code, body.error.message, status);
	return new ApiError('bad_response', `The server answered with status ${status}.`, status);
}

function isContractError(body: unknown): body is { error: { code: string; message: string } } {
	if (typeof body !== 'object' || body === null || !('error' in body)) return false;
	const { error } = body;
	return (
		typeof error === 'object' &&
		error !== null &&
		'code' in error &&
		typeof error.code === 'string' &&
		'message' in error &&
		typeof error.message === 'string'
	);
}
