import { expect, it } from 'vitest';
import type { Principal } from '../session/principal.svelte';
import { texts } from '../texts';
import { getAdminCapsuleActions } from './actions';
import { adminCapsule } from './testing';

const admin: Principal = { userId: 'usr-1', teamId: 'team-1', role: 'member', isAdmin: true };

it('opens the capsules of the administrator’s own team, and no others', () => {
	const obstacle = (principal: Principal) =>
		getAdminCapsuleActions(principal, adminCapsule())[0]?.obstacle;
	expect(obstacle(admin)).toBeNull();
	expect(obstacle({ ...admin, teamId: 'team-2' })).toBe(texts.platform.capsules.ofAnotherTeam);
	expect(obstacle({ ...admin, teamId: null })).toBe(texts.platform.capsules.ofAnotherTeam);
});
