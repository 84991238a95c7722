/** Words for who may reach the ports of a capsule. */
import { texts } from '../texts';
import type { PreviewAccess } from './links';

export const ACCESS_OPTIONS: readonly { value: PreviewAccess; label: string; text: string }[] = [
	{
		value: 'token',
		...texts.preview.access.token
	},
	{
		value: 'public',
		...texts.preview.access.public
	}
];
