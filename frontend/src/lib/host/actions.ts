/** Actions that are possible with a host, and the reasons why others are not. */
import Construction from '@lucide/svelte/icons/construction';
import KeyRound from '@lucide/svelte/icons/key-round';
import Tag from '@lucide/svelte/icons/tag';
import Trash from '@lucide/svelte/icons/trash-2';
import { limits } from '../api/limits';
import type { Host, HostStatus } from '../api/types';
import type { Action } from '../components/action';
import type { Tone } from '../components/tone';
import { lengthProblem } from '../forms/text-length';
import type { Principal } from '../session/principal.svelte';
import { texts } from '../texts';

export type HostDeed = 'token' | 'tags' | 'drain' | 'delete';

/**
 * Why somebody may not bring and manage hosts of their team; null if they may. The API document says of these operations only
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
	// Administrators of the platform manage all hosts, also those of teams.
	const denied = principal.isAdmin ? null : managingObstacle(principal);
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
			id: 'tags',
			text: words.tags,
			label: words.tagsOf(host.id),
			icon: Tag,
			obstacle: denied,
			run: () => act('tags')
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

const TAG = new RegExp(limits.AddTagRequest.tag.pattern);

/** Returns the problem with a new tag of a host that has these; null if there is none. */
export function tagProblem(tag: string, known: readonly string[]): string | null {
	if (!TAG.test(tag)) return texts.host.tagRule;
	return known.includes(tag) ? texts.host.tagKnown : lengthProblem(tag, limits.AddTagRequest.tag);
}

export const HOST_TONES: Record<HostStatus, Tone> = {
	pending: 'moving',
	online: 'live',
	draining: 'asleep',
	offline: 'gone',
	unreachable: 'lost'
};
