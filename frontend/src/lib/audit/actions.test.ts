import { expect, it } from 'vitest';
import type { Principal } from '../session/principal.svelte';
import { texts } from '../texts';
import { getAuditActions } from './actions';
import type { AuditScope } from './scope';

const owner: Principal = { userId: 'usr-1', teamId: 'team-1', role: 'owner', isAdmin: false };
const obstacles = (principal: Principal, scope: AuditScope, isExporting = false) =>
	getAuditActions(principal, scope, isExporting, () => undefined).map(({ obstacle }) => obstacle);

it('lets those who may read a log export it', () => {
	expect(obstacles(owner, 'team')).toEqual([null, null]);
	expect(obstacles({ ...owner, role: 'member' }, 'team')[0]).toBe(texts.permission.admin);
	expect(obstacles(owner, 'platform')[0]).toBe(texts.permission.platform);
	expect(obstacles({ ...owner, isAdmin: true }, 'platform')).toEqual([null, null]);
});

it('exports once at a time, in the wanted form', () => {
	expect(obstacles(owner, 'team', true)).toEqual([texts.audit.exporting, texts.audit.exporting]);
	const wanted: string[] = [];
	for (const { run } of getAuditActions(owner, 'team', false, (format) => wanted.push(format)))
		run();
	expect(wanted).toEqual(['csv', 'jsonl']);
});
