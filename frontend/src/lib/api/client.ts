/**
 * The typed client of the REST API, same origin.
 *
 * Every request carries the session's token. A 401 to a request that carried the token still in
 * use means that the session is over, wherever it happens, and so does the answer that the account is
 * switched off; that is announced as an event, so no caller has to think of it.
 */
import createClient from 'openapi-fetch';
import { events } from '../events';
import { session } from '../session/session.svelte';
import { errorFromAnswer, refusalIn, type Refusal } from './errors';
import type { paths } from './schema';

/** Their 401 is about what was typed, not about the token. */
const JUDGES_WHAT_WAS_TYPED: ReadonlySet<string> = new Set<keyof paths>([
	'/v1/auth/login',
	'/v1/auth/activate',
	'/v1/me/password'
]);

export const api = createClient<paths>({ baseUrl: '/' });

api.use({
	onRequest({ request }) {
		const token = session.current?.token;
		if (token) request.headers.set('Authorization', bearer(token));
		return request;
	},
	async onResponse({ request, response, schemaPath }) {
		if (![401, 403].includes(response.status) || JUDGES_WHAT_WAS_TYPED.has(schemaPath)) return;
		const body: unknown = await response
			.clone()
			.json()
			.catch(() => null);
		const refusal = refusalIn(errorFromAnswer(response.status, body));
		if (refusal !== null) noteRefusal(request.headers.get('Authorization'), refusal);
	}
});

/** The server has refused a request with this header. */
export function noteRefusal(authorization: string | null, refusal: Refusal): void {
	const token = session.current?.token;
	// A late answer to the previous session must not end the present one.
	if (token && authorization === bearer(token)) events.emit('session:refused', refusal);
}

export function bearer(token: string): string {
	return `Bearer ${token}`;
}
