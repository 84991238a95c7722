/** The actions on an API key, and why one is not possible. */
import Trash from '@lucide/svelte/icons/trash-2';
import type { ApiKey } from '../api/types';
import type { Action } from '../components/action';
import { denial, type Principal } from '../session/principal.svelte';
import { texts } from '../texts';

/** @param remove asks first */
export function getKeyActions(principal: Principal, key: ApiKey, remove: () => void): Action[] {
	return [
		{
			id: 'delete',
			text: texts.key.delete,
			label: texts.key.deleteOf(key.name),
			icon: Trash,
			obstacle: denial(principal, 'delete_api_key'),
			look: 'danger',
			run: remove
		}
	];
}
