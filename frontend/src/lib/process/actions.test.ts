import { expect, it } from 'vitest';
import type { Principal } from '../session/principal.svelte';
import { texts } from '../texts';
import { getProcessActions, SIGNALS } from './actions';

const member: Principal = { userId: 'usr-1', teamId: 'team-1', role: 'member', isAdmin: false };

function actionsOf(principal: Principal, terminal: boolean) {
	const done: string[] = [];
	const acts = {
		follow: () => done.push('follow'),
		openTerminal: () => done.push('open'),
		signal: (signal: string) => done.push(signal)
	};
	return { done, actions: getProcessActions(principal, { pid: 7, terminal }, acts) };
}

it('shows what a process prints, or opens its terminal', () => {
	expect(actionsOf(member, false).actions[0]?.label).toBe('Follow the output of 7');
	expect(actionsOf(member, true).actions[0]?.label).toBe('Open the terminal of 7');
});

it('sends each signal', () => {
	const { done, actions } = actionsOf(member, false);
	for (const { run } of actions) run();
	expect(done).toEqual(['follow', ...SIGNALS]);
	expect(actions.filter(({ look }) => look === 'danger').map(({ id }) => id)).toEqual(['SIGKILL']);
	expect(actions.find(({ id }) => id === 'SIGTERM')?.label).toBe('Send SIGTERM to 7');
});

it('lets nobody without a team do anything', () => {
	const { actions } = actionsOf({ ...member, teamId: null }, true);
	expect(new Set(actions.map(({ obstacle }) => obstacle))).toEqual(
		new Set([texts.permission.noTeam])
	);
});
