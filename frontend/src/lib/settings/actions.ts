/** The actions on the ways to sign in, and why some cannot be done. */
import Link from '@lucide/svelte/icons/link';
import Unlink from '@lucide/svelte/icons/unlink';
import type { Me } from '../api/types';
import type { Action } from '../components/action';
import { providerName } from '../session/provider-name';
import { denial, type Principal } from '../session/principal.svelte';
import { texts } from '../texts';

const words = texts.settings.providers;

/** An identity provider, as an account sees it. */
export interface Provider {
	/** As the API names it. */
	id: string;
	isConnected: boolean;
	/** True if the server still knows it. */
	isOffered: boolean;
}

/** The providers that are connected or could be, by name. */
export function providersOf(me: Pick<Me, 'providers'>, offered: readonly string[]): Provider[] {
	return [...new Set([...offered, ...me.providers])].sort().map((id) => ({
		id,
		isConnected: me.providers.includes(id),
		isOffered: offered.includes(id)
	}));
}

type Account = Pick<Me, 'providers' | 'has_password' | 'is_verified'>;

export function getProviderActions(
	principal: Principal,
	{ id, isConnected }: Provider,
	{ providers, has_password, is_verified }: Account,
	run: { connect: () => void; disconnect: () => void }
): Action[] {
	const name = providerName(id);
	if (!isConnected) {
		return [
			{
				id: 'connect',
				text: words.connect,
				label: words.connectLabel(name),
				icon: Link,
				obstacle: denial(principal, 'connect_provider') ?? (is_verified ? null : words.unverified),
				run: run.connect
			}
		];
	}
	const isOnlyWay = !has_password && providers.length === 1;
	return [
		{
			id: 'disconnect',
			text: words.disconnect,
			label: words.disconnectLabel(name),
			icon: Unlink,
			obstacle: denial(principal, 'disconnect_provider') ?? (isOnlyWay ? words.onlyWay : null),
			run: run.disconnect
		}
	];
}
