/** The actions of a user on their own account. Errors of forms go to the caller. */
import { api } from '../api/client';
import { toApiError, unwrap } from '../api/errors';
import type { BegunTotp, ChangePasswordRequest, DisableTotpRequest, Me } from '../api/types';
import { toasts } from '../components/toasts.svelte';
import { events } from '../events';
import { serverProblem } from '../forms/server-problem';
import { providerName } from '../session/provider-name';
import { leaveFor } from '../session/service';
import { session } from '../session/session.svelte';
import { texts } from '../texts';

const words = texts.settings;

/** Changes the name; the new token carries it. */
export async function rename(name: string): Promise<void> {
	session.begin(await unwrap(api.PATCH('/v1/me', { body: { name } })));
	toasts.done(words.profile.renamed);
}

/** Changes the password, or sets the first one. That ends every token, so the user is signed in anew, as far as that needs no code. */
export async function changePassword(
	{ email, totp_enabled }: Me,
	body: ChangePasswordRequest
): Promise<void> {
	const isSignedIn = await session.renew(async () => {
		try {
			await unwrap(api.POST('/v1/me/password', { body }));
		} catch (thrown) {
			const error = toApiError(thrown);
			const isWrongPassword = serverProblem(error, 'current_password') !== null;
			if (error.status === 401 && !isWrongPassword) events.emit('session:refused', 'expired');
			throw error;
		}
		return totp_enabled ? null : signInAgain(email, body.new_password);
	});
	if (isSignedIn) {
		events.emit('account:changed', undefined);
		toasts.done(words.password.changed);
	} else if (session.current?.email === email) {
		session.end(words.password.changedSignIn);
	}
}

/** The new session; null if the user must sign in themselves. */
async function signInAgain(email: string, password: string) {
	try {
		return await unwrap(api.POST('/v1/auth/login', { body: { email, password } }));
	} catch {
		return null;
	}
}

/** Makes the secret of a second factor, which is asked for only when a code has confirmed it. */
export function beginTotp(): Promise<BegunTotp> {
	return unwrap(api.POST('/v1/me/totp'));
}

/** Turns the second factor on and returns the recovery codes, which are told once. */
export async function confirmTotp(code: string): Promise<readonly string[]> {
	let recoveryCodes: readonly string[] = [];
	await session.renew(async () => {
		const answer = await unwrap(api.POST('/v1/me/totp/confirm', { body: { code } }));
		recoveryCodes = answer.recovery_codes;
		return session.current && { ...session.current, token: answer.token };
	});
	events.emit('account:changed', undefined);
	toasts.done(words.totp.turnedOn);
	return recoveryCodes;
}

export async function disableTotp(proof: DisableTotpRequest): Promise<void> {
	await session.renew(() => unwrap(api.DELETE('/v1/me/totp', { body: proof })));
	events.emit('account:changed', undefined);
	toasts.done(words.totp.turnedOff);
}

/** Leaves for a provider, which is connected when the browser returns. Says why if it cannot. */
export async function connectProvider(provider: string): Promise<void> {
	try {
		const path = { provider };
		const answer = await unwrap(
			api.GET('/v1/me/providers/{provider}/connect', { params: { path } })
		);
		leaveFor(answer.auth_url, { purpose: 'connect' });
	} catch (error) {
		toasts.failed(words.providers.notBegun(providerName(provider), toApiError(error).message));
	}
}

export async function disconnectProvider(provider: string): Promise<void> {
	await unwrap(api.DELETE('/v1/me/providers/{provider}', { params: { path: { provider } } }));
	events.emit('account:changed', undefined);
	toasts.done(words.providers.disconnected(providerName(provider)));
}

/** Deletes the account, and what belongs to nobody else. */
export async function deleteAccount(confirmation: string): Promise<void> {
	await unwrap(api.DELETE('/v1/me', { body: { confirmation } }));
	session.end(words.danger.deleted);
}
