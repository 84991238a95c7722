/** Sending a file, with progress, which `fetch` cannot tell. */
import { ApiError, errorFromAnswer } from '../api/errors';

export interface Upload {
	url: string;
	/** The header of that name. */
	authorization: string;
	path: string;
	/** Empty: the capsule's default user. */
	user: string;
	file: Blob;
}

/** Resolves when the file is in its place; rejects with an `ApiError`, or an `AbortError`. */
export function upload(
	{ url, authorization, path, user, file }: Upload,
	signal: AbortSignal,
	onProgress: (doneBytes: number) => void
): Promise<void> {
	// Where it goes comes before what goes there: the server writes while it reads.
	const form = new FormData();
	form.append('path', path);
	if (user) form.append('user', user);
	form.append('file', file);

	return new Promise((resolve, reject) => {
		const request = new XMLHttpRequest();
		const abort = () => request.abort();
		signal.addEventListener('abort', abort);
		const settle = (end: () => void) => () => {
			signal.removeEventListener('abort', abort);
			end();
		};
		request.upload.onprogress = ({ loaded }) => onProgress(Math.min(loaded, file.size));
		request.onload = settle(() => {
			if (request.status >= 200 && request.status < 300) resolve();
			else reject(errorFromAnswer(request.status, parse(request.responseText)));
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
