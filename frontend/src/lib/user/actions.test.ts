import { expect, it } from 'vitest';
import type { AdminUser } from '../api/types';
import type { Principal } from '../session/principal.svelte';
import { texts } from '../texts';
import { getUserActions, userObstacle } from './actions';
import { adminUser } from './testing';

const me: Principal = { userId: 'usr-me', teamId: 'team-1', role: 'member', isAdmin: true };

const user = (change: Partial<AdminUser> = {}) => adminUser('usr-ada', { name: 'Ada', ...change });
const idsOf = (item: AdminUser) =>
	getUserActions(me, item, null, () => undefined).map(({ id }) => id);

it('offers the opposite of what an account is', () => {
	expect(idsOf(user())).toEqual(['switchOff', 'makeAdmin', 'resetLink']);
	expect(idsOf(user({ is_active: false, is_admin: true }))).toEqual([
		'switchOn',
		'unmakeAdmin',
		'resetLink'
	]);
});

it('names the account in each label', () => {
	for (const { label } of getUserActions(me, user(), null, () => undefined)) {
		expect(label).toContain('Ada');
	}
});

it('lets nobody switch off their own account, and yet give up the administration', () => {
	const self = { id: me.userId };
	expect(userObstacle(me, self, 'switchOff', null)).toBe(texts.user.ownAccount);
	expect(userObstacle(me, self, 'unmakeAdmin', null)).toBeNull();
	expect(userObstacle(me, user(), 'switchOff', null)).toBeNull();
});

it('keeps the last administrator', () => {
	expect(userObstacle(me, { id: me.userId }, 'unmakeAdmin', me.userId)).toBe(texts.user.lastAdmin);
	expect(userObstacle(me, user(), 'unmakeAdmin', me.userId)).toBeNull();
});

it('is for administrators of the platform', () => {
	const member = { ...me, isAdmin: false };
	for (const { obstacle } of getUserActions(member, user(), null, () => undefined)) {
		expect(obstacle).toBe(texts.permission.platform);
	}
});
