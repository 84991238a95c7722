/** Users of the platform for unit tests. */
import type { AdminUser } from '../api/types';

export function adminUser(id: string, change: Partial<AdminUser> = {}): AdminUser {
	return {
		id,
		name: id.toUpperCase(),
		email: `${id}@example.org`,
		is_admin: false,
		is_active: true,
		teams_joined: 1,
		teams_owned: 1,
		created_at: '2026-01-01T00:00:00Z',
		...change
	};
}
