/** The answer behind the `#` when a browser returns from an identity provider. */
import { ApiError, unexpectedAnswer } from '../api/errors';
import type { AuthResponse } from '../api/types';

export type Return =
	| { kind: 'signed in'; answer: AuthResponse }
	| { kind: 'connected'; provider: string }
	| { kind: 'failed'; error: ApiError };

/** @param fragment with or without the `#` */
export function parseReturn(fragment: string): Return {
	const fields = new URLSearchParams(fragment.replace(/^#/, ''));
	const text = (name: string) => fields.get(name) ?? '';
	if (fields.has('error')) {
		return { kind: 'failed', error: new ApiError(text('error'), text('message'), 0) };
	}
	if (fields.has('connected')) return { kind: 'connected', provider: text('connected') };
	if (text('token') === '' || text('user_id') === '') {
		return { kind: 'failed', error: unexpectedAnswer() };
	}
	const answer = {
		token: text('token'),
		user_id: text('user_id'),
		team_id: text('team_id'),
		email: text('email'),
		name: text('name'),
		is_admin: text('is_admin') === 'true'
	};
	return { kind: 'signed in', answer };
}
