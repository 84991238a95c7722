/** Sending a form with a file, with progress, which `fetch` cannot tell. */
import { ApiError, errorFromAnswer } from '../api/errors';

export interface FormPost {
	url: string;
	/** The header of that name. */
	authorization: string;
	form: FormData;
}

/**
 * Resolves with the answer's JSON, null if it has none; rejects with an `ApiError`, or an `AbortError`.
 *
 * What is sent is a little more than the files in it: progress counts that, too.
 */
export function postForm(
	{ url, authorization, form }: FormPost,
	signal: AbortSignal,
	onProgress: (sentBytes: number) => void
): Promise<unknown> {
	return new Promise((resolve, reject) => {
		const request = new XMLHttpRequest();
		const abort = () => request.abort();
		signal.addEventListener('abort', abort);
		const settle = (end: () => void) => () => {
			signal.removeEventListener('abort', abort);
			end();
		};
		request.upload.onprogress = ({ loaded }) => onProgress(loaded);
		request.onload = settle(() => {
			const answer = parse(request.responseText);
			if (request.status >= 200 && request.status < 300) resolve(answer);
			else reject(errorFromAnswer(request.status, answer));
		});
		request.onerror = settle(() =>
			reject(new ApiError('unreachable', 'The connection was cut.', 0))
		);
		request.onabort = settle(() => reject(new DOMException('cancelled', 'AbortError')));
		request.open('POST', url);
		request.setRequestHeader('Authorization', authorization);
		if (signal.aborted) request.onabort?.(new ProgressEvent('abort'));
		else request.send(form);
	});
}

function parse(text: string): unknown {
	try {
		return JSON.parse(text) as unknown;
	} catch {
		return null;
	}
}
