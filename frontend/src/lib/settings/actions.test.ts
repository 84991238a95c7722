import { expect, it } from 'vitest';
import { texts } from '../texts';
import { getProviderActions, providersOf } from './actions';

const principal = { userId: 'usr-1', teamId: 'team-1', role: null, isAdmin: false };
const run = { connect: () => undefined, disconnect: () => undefined };
const account = { providers: ['github'], has_password: true, is_verified: true };
const words = texts.settings.providers;

it('lists what is connected and what is offered, once each', () => {
	expect(providersOf({ providers: ['gone', 'github'] }, ['oidc', 'github'])).toEqual([
		{ id: 'github', isConnected: true, isOffered: true },
		{ id: 'gone', isConnected: true, isOffered: false },
		{ id: 'oidc', isConnected: false, isOffered: true }
	]);
});

it('keeps the only way to sign in', () => {
	const github = { id: 'github', isConnected: true, isOffered: true };
	const obstacle = (over: Partial<typeof account>) =>
		getProviderActions(principal, github, { ...account, ...over }, run)[0]?.obstacle;
	expect(obstacle({})).toBeNull();
	expect(obstacle({ has_password: false })).toBe(words.onlyWay);
	expect(obstacle({ has_password: false, providers: ['github', 'oidc'] })).toBeNull();
});

it('connects only to a confirmed address', () => {
	const oidc = { id: 'oidc', isConnected: false, isOffered: true };
	const action = (is_verified: boolean) =>
		getProviderActions(principal, oidc, { ...account, is_verified }, run)[0];
	expect(action(true)).toMatchObject({ id: 'connect', obstacle: null });
	expect(action(false)?.obstacle).toBe(words.unverified);
});
