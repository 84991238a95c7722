import { expect, it } from 'vitest';
import type { AuditEntry } from '../api/types';
import { texts } from '../texts';
import { actionText, actorOf, resourceOf, teamOf } from './words';

const entry: AuditEntry = {
	id: 'aud-1',
	actor_type: 'user',
	actor_id: 'usr-1',
	actor_name: 'Ada',
	resource_type: 'capsule',
	resource_id: 'cl-1',
	action: 'capsule.create',
	scope: 'team',
	status: 'succeeded',
	error: null,
	metadata: {},
	created_at: '2026-11-30T12:00:00Z',
	settled_at: null
};
const nobody = () => null;

it('says who acted', () => {
	expect(actorOf(entry)).toEqual({ name: 'Ada' });
	expect(actorOf({ ...entry, actor_type: 'api_key', actor_name: 'ci' }).name).toBe('API key ci');
	expect(actorOf({ ...entry, actor_type: 'system', actor_id: null, actor_name: 'idle' })).toEqual({
		name: texts.audit.actors.system,
		why: texts.audit.reasons['idle']
	});
	const anonymous = { ...entry, actor_type: 'anonymous', actor_id: null, actor_name: null };
	expect(actorOf(anonymous).name).toBe(texts.audit.actors.anonymous);
});

it('shows names that it has no words for', () => {
	expect(actionText('capsule.create')).toBe('Create a capsule');
	expect(actionText('capsule.fly')).toBe('capsule.fly');
	const system = { ...entry, actor_type: 'system', actor_name: 'tide' };
	expect(actorOf(system).why).toBe('tide');
});

it('names what it was done to', () => {
	expect(resourceOf(entry, nobody)).toBe('cl-1');
	expect(resourceOf({ ...entry, metadata: { name: 'web' } }, nobody)).toBe('web');
	expect(resourceOf({ ...entry, resource_id: null }, nobody)).toBe('');
	const member = { ...entry, resource_type: 'member', resource_id: 'usr-2' };
	expect(resourceOf(member, () => 'Bert')).toBe('Bert');
	expect(resourceOf(member, nobody)).toBe('usr-2');
	expect(resourceOf({ ...member, metadata: { email: 'b@x.test' } }, nobody)).toBe('b@x.test');
});

it('names the team in the log of all of them', () => {
	expect(teamOf(entry)).toBeNull();
	expect(teamOf({ ...entry, team_id: 'team-1', team_name: 'Kites' })).toBe('Kites');
	expect(teamOf({ ...entry, team_id: 'team-1', team_name: null })).toBe('team-1');
	expect(teamOf({ ...entry, team_id: null, team_name: null })).toBe(texts.audit.ofPlatform);
});
