/** The actions on a template, and why some cannot be done. */
import Plus from '@lucide/svelte/icons/plus';
import Trash from '@lucide/svelte/icons/trash-2';
import type { Template } from '../api/types';
import type { BuildScope } from '../build/scope';
import type { Action } from '../components/action';
import { denial, type Principal } from '../session/principal.svelte';
import { texts } from '../texts';

const words = texts.template;

/** An action that needs a question before it is done. */
export interface TemplateQuestion<T extends Template = Template> {
	action: 'use' | 'delete';
	template: T;
}

/** @param scope as one of the team, or as an administrator of the platform */
export function getTemplateActions<T extends Template>(
	principal: Principal,
	template: T,
	scope: BuildScope,
	onAsk: (question: TemplateQuestion<T>) => void
): Action[] {
	const { name, platform, team_id } = template;
	const isSeen = platform || team_id === principal.teamId;
	return [
		{
			id: 'use',
			text: words.use,
			label: words.useOf(name),
			icon: Plus,
			obstacle: denial(principal, 'create_capsule') ?? (isSeen ? null : words.ofAnotherTeam),
			run: () => onAsk({ action: 'use', template })
		},
		{
			id: 'delete',
			text: words.delete,
			label: words.deleteOf(name),
			icon: Trash,
			obstacle:
				scope === 'platform'
					? denial(principal, 'delete_any_template')
					: (denial(principal, 'delete_snapshot') ?? (platform ? words.isPlatforms : null)),
			look: 'danger',
			run: () => onAsk({ action: 'delete', template })
		}
	];
}
