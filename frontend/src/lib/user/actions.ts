/** Actions of an administrator of the platform on accounts, and the reasons why some are not possible. */
import KeyRound from '@lucide/svelte/icons/key-round';
import ShieldOff from '@lucide/svelte/icons/shield-off';
import ShieldPlus from '@lucide/svelte/icons/shield-plus';
import UserRoundCheck from '@lucide/svelte/icons/user-round-check';
import UserRoundX from '@lucide/svelte/icons/user-round-x';
import type { AdminUser } from '../api/types';
import type { Action } from '../components/action';
import { denial, type Principal } from '../session/principal.svelte';
import { texts } from '../texts';

export type UserDeed = 'switchOff' | 'switchOn' | 'makeAdmin' | 'unmakeAdmin' | 'resetLink';

/** The user whom the server lets nobody switch off or take the administration from, as far as that is known. */
export type LastAdmin = string | null;

/** Why something cannot be done with an account; null if it can. */
export function userObstacle(
	principal: Principal,
	{ id }: Pick<AdminUser, 'id'>,
	deed: UserDeed,
	lastAdmin: LastAdmin
): string | null {
	const words = texts.user;
	switch (deed) {
		case 'switchOff': {
			const own = id === principal.userId ? words.ownAccount : null;
			return denial(principal, 'set_user_active') ?? own ?? lastAdminObstacle(id, lastAdmin);
		}
		case 'switchOn':
			return denial(principal, 'set_user_active');
		case 'makeAdmin':
			return denial(principal, 'set_user_admin');
		case 'unmakeAdmin':
			return denial(principal, 'set_user_admin') ?? lastAdminObstacle(id, lastAdmin);
		case 'resetLink':
			return denial(principal, 'create_reset_link');
	}
}

function lastAdminObstacle(id: string, lastAdmin: LastAdmin): string | null {
	return id === lastAdmin ? texts.user.lastAdmin : null;
}

/** @param act does it, or asks first */
export function getUserActions(
	principal: Principal,
	user: AdminUser,
	lastAdmin: LastAdmin,
	act: (deed: UserDeed) => void
): Action[] {
	const words = texts.user;
	const action = (id: UserDeed, icon: Action['icon'], look: Action['look'] = 'plain'): Action => ({
		id,
		text: words.acts[id],
		label: words.actsOn[id](user.name),
		icon,
		look,
		obstacle: userObstacle(principal, user, id, lastAdmin),
		run: () => act(id)
	});
	return [
		user.is_active ? action('switchOff', UserRoundX, 'danger') : action('switchOn', UserRoundCheck),
		user.is_admin ? action('unmakeAdmin', ShieldOff, 'danger') : action('makeAdmin', ShieldPlus),
		action('resetLink', KeyRound)
	];
}
