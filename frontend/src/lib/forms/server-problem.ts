/** Errors that the server finds in one field: the messages begin with the name of the field, as `code: is wrong`. */
import { ApiError } from '../api/errors';

/** The message without the name, as a sentence; null if the error is about something else. */
export function serverProblem(error: ApiError | null, field: string): string | null {
	const start = `${field}: `;
	if (!error?.message.startsWith(start)) return null;
	const text = error.message.slice(start.length);
	return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** The error without the name of the field, for where the user has not typed it: the token of a link. */
export function withoutField(error: ApiError, field: string): ApiError {
	const problem = serverProblem(error, field);
	return problem === null ? error : new ApiError(error.code, problem, error.status);
}
