/** The actions on the members of a team and on its invitations, and why some cannot be done. */
import ArrowDown from '@lucide/svelte/icons/arrow-down';
import ArrowUp from '@lucide/svelte/icons/arrow-up';
import Crown from '@lucide/svelte/icons/crown';
import UserMinus from '@lucide/svelte/icons/user-minus';
import X from '@lucide/svelte/icons/x';
import type { Invitation, TeamMember } from '../api/types';
import type { Action } from '../components/action';
import { denial, type Principal } from '../session/principal.svelte';
import { texts } from '../texts';

export type MemberDeed = 'remove' | 'promote' | 'demote' | 'handOver';

/** Why something cannot be done with a member; null if it can. */
export function memberObstacle(
	principal: Principal,
	member: Pick<TeamMember, 'user_id' | 'role'>,
	deed: MemberDeed
): string | null {
	const words = texts.team;
	if (deed === 'remove') {
		const denied = denial(principal, 'remove_member');
		if (denied) return denied;
		if (member.role === 'owner') return words.ownerStays;
		return member.user_id === principal.userId ? words.removeSelf : null;
	}
	const denied = denial(principal, 'set_member_role');
	if (denied) return denied;
	// An admin may set roles, yet only the owner can give away what the owner is.
	if (deed === 'handOver') {
		if (principal.role !== 'owner') return texts.permission.owner;
		return member.role === 'owner' ? words.roleHeld(words.roles.owner) : null;
	}
	return member.role === 'owner' ? words.ownerStays : null;
}

/** @param act does it, or asks first */
export function getMemberActions(
	principal: Principal,
	member: Pick<TeamMember, 'user_id' | 'name' | 'role'>,
	act: (deed: MemberDeed) => void
): Action[] {
	const words = texts.team;
	const action = (
		id: MemberDeed,
		text: string,
		label: (name: string) => string,
		icon: Action['icon'],
		look: Action['look'] = 'plain'
	): Action => ({
		id,
		text,
		label: label(member.name),
		icon,
		look,
		obstacle: memberObstacle(principal, member, id),
		run: () => act(id)
	});
	return [
		action('remove', words.remove, words.removeOf, UserMinus, 'danger'),
		member.role === 'member'
			? action('promote', words.promote, words.promoteOf, ArrowUp)
			: action('demote', words.demote, words.demoteOf, ArrowDown),
		action('handOver', words.handOver, words.handOverOf, Crown)
	];
}

export function getInvitationActions(
	principal: Principal,
	invitation: Invitation,
	revoke: () => void
): Action[] {
	return [
		{
			id: 'revoke',
			text: texts.team.revoke,
			label: texts.team.revokeOf(invitation.email),
			icon: X,
			obstacle: denial(principal, 'delete_invitation'),
			look: 'danger',
			run: revoke
		}
	];
}
