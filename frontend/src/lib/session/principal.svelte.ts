/**
 * The user who acts, and their permissions: the rules of the server's table of actions, as the API document tells them.
 *
 * The server decides; this keeps people from asking for what it would refuse, and says why.
 */
import { access } from '../api/access';
import type { TeamRole } from '../api/types';
import { teams } from '../team/teams.svelte';
import { texts } from '../texts';
import { session } from './session.svelte';

export interface Principal {
	userId: string;
	/** Null for somebody who is in no team. */
	teamId: string | null;
	/** The role in that team; null while it is not known. */
	role: TeamRole | null;
	isAdmin: boolean;
}

/** An operation of the API, by its id. */
export type OperationId = keyof typeof access;

const RANKS: Record<TeamRole, number> = { member: 0, admin: 1, owner: 2 };

/** Why somebody may not call an operation; null if they may. In the team that they act for, where it is about one. */
export function denial(principal: Principal, operation: OperationId): string | null {
	const least = access[operation];
	switch (least) {
		case 'open':
		case 'signed_in':
			return null;
		case 'platform':
			return principal.isAdmin ? null : texts.permission.platform;
		case 'host':
			return texts.permission.platform;
		case 'member':
		case 'admin':
		case 'owner':
			if (principal.teamId === null) return texts.permission.noTeam;
			if (least === 'member' || principal.role === null) return null;
			return RANKS[principal.role] >= RANKS[least] ? null : texts.permission[least];
	}
}

/** Returns the user who is signed in; reactive. For somebody who is not, everything but signing in is denied. */
export function currentPrincipal(): Principal {
	const current = session.current;
	return {
		userId: current?.user_id ?? '',
		teamId: current?.team_id || null,
		role: teams.current?.role ?? null,
		isAdmin: current?.is_admin ?? false
	};
}

/** Why the one who is signed in may not call an operation; null if they may. */
export function denied(operation: OperationId): string | null {
	return denial(currentPrincipal(), operation);
}
