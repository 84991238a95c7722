import { expect, it } from 'vitest';
import type { Channel } from '../api/types';
import type { Principal } from '../session/principal.svelte';
import { texts } from '../texts';
import { getChannelActions } from './actions';
import { channelState } from './status';

const channel: Channel = {
	id: 'ch-1',
	team_id: 'team-1',
	name: 'ops',
	provider: 'slack',
	events: ['host.down'],
	created_at: '2026-11-30T12:00:00Z',
	updated_at: '2026-11-30T12:00:00Z',
	disabled_at: null,
	last_error: null
};
const me = (role: 'admin' | 'member'): Principal => ({
	userId: 'usr-1',
	teamId: 'team-1',
	role,
	isAdmin: false
});
const obstacles = (principal: Principal, of: Channel) =>
	Object.fromEntries(
		getChannelActions(principal, of, () => undefined).map(({ id, obstacle }) => [id, obstacle])
	);

it('lets members change nothing', () => {
	for (const obstacle of Object.values(obstacles(me('member'), channel))) {
		expect(obstacle).toBe(texts.permission.admin);
	}
});

it('switches on only what is off', () => {
	expect(obstacles(me('admin'), channel)['enable']).toBe(texts.channel.isOn);
	const off = { ...channel, disabled_at: '2026-11-30T13:00:00Z', last_error: 'gone' };
	expect(obstacles(me('admin'), off)['enable']).toBeNull();
});

it('tells a receiver that fails from one that was given up', () => {
	expect(channelState(channel)).toBe('on');
	expect(channelState({ ...channel, last_error: 'status 500' })).toBe('failing');
	expect(channelState({ ...channel, disabled_at: '2026-11-30T13:00:00Z' })).toBe('off');
});
