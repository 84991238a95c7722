import { expect, it } from 'vitest';
import type { Template } from '../api/types';
import type { BuildScope } from '../build/scope';
import type { Principal } from '../session/principal.svelte';
import { texts } from '../texts';
import { getTemplateActions, type TemplateQuestion } from './actions';
import { template } from './testing';

const member: Principal = { userId: 'usr-1', teamId: 'team-1', role: 'member', isAdmin: false };
const admin: Principal = { ...member, isAdmin: true };
const words = texts.template;

function obstacles(principal: Principal, change: Partial<Template>, scope: BuildScope) {
	const actions = getTemplateActions(principal, template(change), scope, () => undefined);
	return Object.fromEntries(actions.map(({ id, obstacle }) => [id, obstacle]));
}

it('lets a member use and delete what is the team’s', () => {
	expect(obstacles(member, {}, 'team')).toEqual({ use: null, delete: null });
});

it('lets a team use what is the platform’s, and not delete it', () => {
	const expected = { use: null, delete: words.isPlatforms };
	expect(obstacles(member, { platform: true, team_id: 'team-0' }, 'team')).toEqual(expected);
	expect(obstacles(admin, { platform: true, team_id: 'team-0' }, 'team')).toEqual(expected);
});

it('lets an administrator delete every one, and use those that their team sees', () => {
	expect(obstacles(admin, { team_id: 'team-2' }, 'platform')).toEqual({
		use: words.ofAnotherTeam,
		delete: null
	});
	const platforms = { platform: true, team_id: 'team-0' };
	expect(obstacles(admin, platforms, 'platform')).toEqual({ use: null, delete: null });
});

it('lets nobody without a team do anything', () => {
	const { noTeam } = texts.permission;
	expect(obstacles({ ...member, teamId: null }, {}, 'team')).toEqual({
		use: noTeam,
		delete: noTeam
	});
});

it('asks about the template, before either is done', () => {
	const asked: TemplateQuestion[] = [];
	const one = template();
	for (const { run } of getTemplateActions(member, one, 'team', (question) => asked.push(question)))
		run();
	expect(asked).toEqual([
		{ action: 'use', template: one },
		{ action: 'delete', template: one }
	]);
});
