/** Actions of an administrator of the platform on any team, and the reasons why some are not possible. */
import Gauge from '@lucide/svelte/icons/gauge';
import Server from '@lucide/svelte/icons/server';
import ServerOff from '@lucide/svelte/icons/server-off';
import Trash from '@lucide/svelte/icons/trash-2';
import type { AdminTeam } from '../api/types';
import type { Action } from '../components/action';
import { denial, type Principal } from '../session/principal.svelte';
import { texts } from '../texts';

export type TeamDeed = 'quota' | 'byoc' | 'delete';

/** An action that needs a question before it is done. */
export interface TeamQuestion {
	deed: TeamDeed;
	team: AdminTeam;
}

export function getAnyTeamActions(
	principal: Principal,
	team: AdminTeam,
	onAsk: (question: TeamQuestion) => void
): Action[] {
	const words = texts.allTeams;
	const gone = team.deleted_at === null ? null : words.isDeleted;
	const ask = (deed: TeamDeed) => () => onAsk({ deed, team });
	return [
		{
			id: 'quota',
			text: words.limits,
			label: words.limitsOf(team.name),
			icon: Gauge,
			obstacle: denial(principal, 'set_team_quota') ?? gone,
			run: ask('quota')
		},
		{
			id: 'byoc',
			text: team.is_byoc ? words.forbidByoc : words.allowByoc,
			label: team.is_byoc ? words.forbidByocOf(team.name) : words.allowByocOf(team.name),
			icon: team.is_byoc ? ServerOff : Server,
			obstacle: denial(principal, 'set_team_byoc') ?? gone,
			run: ask('byoc')
		},
		{
			id: 'delete',
			text: words.delete,
			label: words.deleteOf(team.name),
			icon: Trash,
			look: 'danger',
			obstacle: denial(principal, 'delete_any_team') ?? gone,
			run: ask('delete')
		}
	];
}
