/** The actions of an administrator on the capsules of all teams. The API lets nobody but the members of a team act on its capsules. */
import SquareArrowOutUpRight from '@lucide/svelte/icons/square-arrow-out-up-right';
import { goto } from '$app/navigation';
import { resolve } from '$app/paths';
import type { AdminCapsule } from '../api/types';
import type { Action } from '../components/action';
import { denial, type Principal } from '../session/principal.svelte';
import { texts } from '../texts';

const words = texts.platform.capsules;

export function getAdminCapsuleActions(
	principal: Principal,
	{ id, team_id }: Pick<AdminCapsule, 'id' | 'team_id'>
): Action[] {
	return [
		{
			id: 'open',
			text: words.open,
			label: words.openOf(id),
			icon: SquareArrowOutUpRight,
			obstacle:
				team_id === principal.teamId ? denial(principal, 'get_capsule') : words.ofAnotherTeam,
			run: () => void goto(resolve('/(app)/dashboard/capsules/[id]', { id }))
		}
	];
}
