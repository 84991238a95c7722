/** Signing in, up and out, and what can be done by a link. Errors go to the caller, whose form shows them. */
import { api, bearer } from '../api/client';
import { errorFromAnswer, toApiError, unwrap } from '../api/errors';
import type { LoginRequest, SignupRequest, Team } from '../api/types';
import { toasts } from '../components/toasts.svelte';
import { events } from '../events';
import { switchTeam } from '../team/service';
import { texts } from '../texts';
import { session } from './session.svelte';
import { beginTrip, type Trip } from './trip';

const words = texts.session;

/** The end of the former session at the server, which ends all tokens that there are by then. */
let leaving: Promise<void> = Promise.resolve();

export async function signIn(body: LoginRequest): Promise<void> {
	await leaving;
	session.begin(await unwrap(api.POST('/v1/auth/login', { body })));
}

/** Creates the account, with its first team or with the place that an invitation gives, and signs in. */
export async function signUp(body: SignupRequest): Promise<void> {
	session.begin(await unwrap(api.POST('/v1/auth/signup', { body })));
}

/** Signs out here at once, and on every other device as soon as the server knows. */
export function signOut(): void {
	const token = session.current?.token;
	session.end();
	if (token) leaving = revoke(token);
}

async function revoke(token: string): Promise<void> {
	try {
		// Not by the client, which would send the token of whoever is signed in by then. It may outlive the page.
		const answer = await fetch('/v1/auth/logout', {
			method: 'POST',
			headers: { Authorization: bearer(token) },
			keepalive: true
		});
		// A token that is refused has ended already.
		if (!answer.ok && answer.status !== 401) {
			throw errorFromAnswer(answer.status, await answer.json());
		}
	} catch (error) {
		toasts.failed(words.signOutUntold(toApiError(error).message));
	}
}

/** Leaves for a provider; the browser comes back to the page `/auth/callback`. */
export function signInWithProvider(provider: string, next: string): void {
	leaveFor(`/v1/auth/oauth/${encodeURIComponent(provider)}`, { purpose: 'sign in', next });
}

/** Leaves the dashboard for a provider. */
export function leaveFor(address: string, trip: Trip): void {
	beginTrip(trip);
	location.assign(address);
}

/** Asks for a link that replaces a password. The answer does not say whether there is such an account. */
export async function forgetPassword(email: string): Promise<void> {
	await unwrap(api.POST('/v1/me/password/reset', { body: { email } }));
}

/** Replaces a password by a link; all sessions of its account end. */
export async function resetPassword(token: string, newPassword: string): Promise<void> {
	const body = { token, new_password: newPassword };
	await unwrap(api.POST('/v1/me/password/reset/confirm', { body }));
}

/** Confirms an address by a link, and signs in. */
export async function activate(token: string): Promise<void> {
	session.begin(await unwrap(api.POST('/v1/auth/activate', { body: { token } })));
	events.emit('account:changed', undefined);
	toasts.done(words.activation.done);
}

/** Asks for another link that confirms the address, and says how it went. */
export async function sendActivation(email: string): Promise<void> {
	try {
		await unwrap(api.POST('/v1/me/activation'));
		toasts.done(words.activation.sent(email));
	} catch (error) {
		toasts.failed(words.activation.notSent(toApiError(error).message));
	}
	// The address may have been confirmed meanwhile.
	events.emit('account:changed', undefined);
}

/**
 * Acts for the team of the invitation with which the user has just signed up, which is the only one beside their own. Without
 * an answer they stay in their own, from where they can switch.
 */
export async function enterInvitedTeam(): Promise<void> {
	let teams: readonly Team[];
	try {
		teams = await unwrap(api.GET('/v1/teams'));
	} catch {
		return;
	}
	const invited = teams.find(({ id }) => id !== session.current?.team_id);
	if (invited) await switchTeam(invited);
}

/** Joins the team of an invitation, which must be for the address of the account. */
export async function acceptInvitation(token: string): Promise<Team> {
	const team = await unwrap(api.POST('/v1/invitations/accept', { body: { token } }));
	events.emit('team:changed', undefined);
	toasts.done(words.invitation.accepted(team.name));
	return team;
}
