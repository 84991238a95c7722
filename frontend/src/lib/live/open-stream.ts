/** The stream of events, as the worker asks for it: without the client, whose session belongs to a tab. */
import { errorFromAnswer } from '../api/errors';
import type { OpenStream } from './hub';

export const openStream: OpenStream = async (token, lastId, signal) => {
	const headers = new Headers({ Authorization: `Bearer ${token}` });
	if (lastId !== '') headers.set('Last-Event-ID', lastId);
	const answer = await fetch('/v1/events', { headers, signal });
	if (answer.ok && answer.body !== null) return answer.body;
	throw errorFromAnswer(answer.status, await answer.json().catch(() => null));
};
