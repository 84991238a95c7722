/** Actions that are possible with a host of the team, and the reasons why others are not. */
import Construction from '@lucide/svelte/icons/construction';
import KeyRound from '@lucide/svelte/icons/key-round';
import Trash from '@lucide/svelte/icons/trash-2';
import type { Host, HostStatus } from '../api/types';
import type { Action } from '../components/action';
import type { Tone } from '../components/tone';
import type { Principal } from '../session/principal.svelte';
import { texts } from '../texts';

export type HostDeed = 'token' | 'drain' | 'delete';

/**
 * Why somebody may not manage the hosts of their team; null if they may. The API document says of these operations only
 * that one must be signed in, because other hosts have other rules.
 */
export function managingObstacle({ teamId, role }: Principal): string | null {
	if (teamId === null) return texts.permission.noTeam;
	return role === 'member' ? texts.permission.admin : null;
}

/** @param act does it, or asks first */
export function getHostActions(
	principal: Principal,
	host: Host,
	act: (deed: HostDeed) => void
): Action[] {
	const words = texts.host;
	const denied = managingObstacle(principal);
	const isDraining = host.status === 'draining';
	return [
		{
			id: 'token',
			text: words.token,
			label: words.tokenOf(host.id),
			icon: KeyRound,
			obstacle: denied ?? (host.status === 'online' || isDraining ? words.isOnline : null),
			run: () => act('token')
		},
		{
			id: 'drain',
			text: isDraining ? words.open : words.drain,
			label: isDraining ? words.openOf(host.id) : words.drainOf(host.id),
			icon: Construction,
			obstacle: denied,
			run: () => act('drain')
		},
		{
			id: 'delete',
			text: words.delete,
			label: words.deleteOf(host.id),
			icon: Trash,
			look: 'danger',
			obstacle: denied,
			run: () => act('delete')
		}
	];
}

export const HOST_TONES: Record<HostStatus, Tone> = {
	pending: 'moving',
	online: 'live',
	draining: 'asleep',
	offline: 'gone',
	unreachable: 'lost'
};
