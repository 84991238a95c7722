/** Who may reach the ports of a capsule, in words. */
import type { PreviewAccess } from './links';

export const ACCESS_OPTIONS: readonly { value: PreviewAccess; label: string; text: string }[] = [
	{
		value: 'token',
		label: 'With the token',
		text: 'Whoever has a link with the token. A browser keeps it in a cookie.'
	},
	{
		value: 'public',
		label: 'Everybody',
		text: 'Whoever knows the address, without signing in anywhere.'
	}
];
