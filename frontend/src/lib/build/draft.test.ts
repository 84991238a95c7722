import { beforeEach, expect, it, vi } from 'vitest';
import { events } from '../events';
import { dropDraft, keepDraft, readDraft } from './draft';
import { DEFAULT_BUILD_FORM } from './form';

const who = vi.hoisted(() => ({
	current: null as { user_id: string; team_id: string } | null,
	isThrownOut: false
}));
vi.mock('../session/session.svelte', () => ({ session: who }));

const place = { scope: 'team', from: null } as const;
const form = { ...DEFAULT_BUILD_FORM, name: 'python', recipe: 'RUN true' };
const stored = new Map<string, string>();

beforeEach(() => {
	stored.clear();
	vi.stubGlobal('sessionStorage', {
		getItem: (key: string) => stored.get(key) ?? null,
		setItem: (key: string, text: string) => stored.set(key, text),
		removeItem: (key: string) => stored.delete(key)
	});
	Object.assign(who, { current: { user_id: 'usr-1', team_id: 'team-1' }, isThrownOut: false });
});

it('gives back what was typed, at the same place', () => {
	expect(readDraft(place)).toBeNull();
	keepDraft(place, form);
	expect(readDraft(place)).toEqual(form);
	expect(readDraft({ scope: 'platform', from: null })).toBeNull();
	expect(readDraft({ scope: 'team', from: 'bld-1' })).toBeNull();
	dropDraft();
	expect(readDraft(place)).toBeNull();
});

it('gives nothing to another user or team', () => {
	keepDraft(place, form);
	who.current = { user_id: 'usr-2', team_id: 'team-1' };
	expect(readDraft(place)).toBeNull();
	who.current = { user_id: 'usr-1', team_id: 'team-2' };
	expect(readDraft(place)).toBeNull();
});

it('is dropped by signing out, and kept when the session ends by itself', () => {
	keepDraft(place, form);
	const { current } = who;
	Object.assign(who, { current: null, isThrownOut: true });
	events.emit('session:changed', undefined);
	Object.assign(who, { current, isThrownOut: false });
	events.emit('session:changed', undefined);
	expect(readDraft(place)).toEqual(form);
	who.current = null;
	events.emit('session:changed', undefined);
	who.current = current;
	expect(readDraft(place)).toBeNull();
});

it('reads no nonsense', () => {
	for (const text of ['', '{', '7', '{"form":{}}', JSON.stringify({ form: { ...form, name: 7 } })]) {
		stored.set('wrenn.build-draft', text);
		expect(readDraft(place), text).toBeNull();
	}
});
