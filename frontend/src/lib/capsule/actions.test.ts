import { expect, it, vi } from 'vitest';
import { getCapsuleActions } from './actions';
import { capsule } from './testing';

const member = { userId: 'usr-1', teamId: 'team-1', role: 'member', isAdmin: false } as const;

it('offers what the state of a capsule allows', () => {
	const texts = (status: 'running' | 'paused' | 'stopped') =>
		getCapsuleActions(member, capsule({ status }), null, () => undefined).map(
			({ text, obstacle }) => (obstacle === null ? text : null)
		);
	expect(texts('running')).toEqual(['Pause', 'Make a template', 'Destroy']);
	expect(texts('paused')).toEqual(['Resume', 'Make a template', 'Destroy']);
	expect(texts('stopped')).toEqual(['Boot from disk', 'Make a template', 'Destroy']);
});

it('says why nothing can be done by somebody without a team', () => {
	const actions = getCapsuleActions({ ...member, teamId: null }, capsule(), null, () => undefined);
	expect(new Set(actions.map(({ obstacle }) => obstacle))).toEqual(
		new Set(['You are in no team.'])
	);
});

it('asks before it destroys, and names the capsule', () => {
	const ask = vi.fn();
	const one = capsule();
	const destroy = getCapsuleActions(member, one, null, ask).find(({ id }) => id === 'destroy');
	expect(destroy?.label).toBe('Destroy cl-1');
	destroy?.run();
	expect(ask).toHaveBeenCalledWith({ action: 'destroy', capsule: one });
});
