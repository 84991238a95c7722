/** Signing in, up and out. Errors go to the caller, whose form shows them. */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { LoginRequest, SignupRequest } from '../api/types';
import { session } from './session.svelte';

export async function signIn(body: LoginRequest): Promise<void> {
	session.begin(await unwrap(api.POST('/v1/auth/login', { body })));
}

/** Creates the account, with its first team, and signs in. */
export async function signUp(body: SignupRequest): Promise<void> {
	session.begin(await unwrap(api.POST('/v1/auth/signup', { body })));
}

export function signOut(): void {
	session.end();
}
