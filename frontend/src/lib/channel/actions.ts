/** Actions that are possible with a channel, and the reasons why others are not. */
import Pencil from '@lucide/svelte/icons/pencil';
import Power from '@lucide/svelte/icons/power';
import RefreshCw from '@lucide/svelte/icons/refresh-cw';
import Trash from '@lucide/svelte/icons/trash-2';
import type { Channel } from '../api/types';
import type { Action } from '../components/action';
import { denial, type OperationId, type Principal } from '../session/principal.svelte';
import { texts } from '../texts';

export type ChannelDeed = 'edit' | 'configure' | 'enable' | 'delete';

const OPERATIONS: Record<ChannelDeed, OperationId> = {
	edit: 'update_channel',
	configure: 'rotate_channel_config',
	// A change switches a channel on, also one that changes nothing.
	enable: 'update_channel',
	delete: 'delete_channel'
};

/** @param act does it, or opens its form, or asks first */
export function getChannelActions(
	principal: Principal,
	channel: Channel,
	act: (deed: ChannelDeed) => void
): Action[] {
	const words = texts.channel;
	const action = (
		id: ChannelDeed,
		label: (name: string) => string,
		icon: Action['icon'],
		obstacle: string | null = null,
		look: Action['look'] = 'plain'
	): Action => ({
		id,
		text: words[id],
		label: label(channel.name),
		icon,
		look,
		obstacle: denial(principal, OPERATIONS[id]) ?? obstacle,
		run: () => act(id)
	});
	return [
		action('edit', words.editOf, Pencil),
		action('configure', words.configureOf, RefreshCw),
		action('enable', words.enableOf, Power, channel.disabled_at === null ? words.isOn : null),
		action('delete', words.deleteOf, Trash, null, 'danger')
	];
}
