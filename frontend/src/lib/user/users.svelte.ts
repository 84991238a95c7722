/** The users of the platform, newest first; for administrators of the platform. */
import { api } from '../api/client';
import { unwrapPage, type Page } from '../api/errors';
import type { AdminUser } from '../api/types';
import { events } from '../events';
import { PolledPages, type PageQuery } from '../polling/pages.svelte';

class UserList extends PolledPages<AdminUser> {
	constructor() {
		super();
		events.on('session:changed', () => this.forget());
		events.on('user:changed', () => this.refresh());
	}

	/** The only active administrator of the platform; null if there are others, or it is not known. */
	get lastAdminId(): string | null {
		if (!this.isLoaded || this.hasMore) return null;
		const admins = this.items.filter(({ is_admin, is_active }) => is_admin && is_active);
		return admins.length === 1 ? (admins[0]?.id ?? null) : null;
	}

	protected override page(query: PageQuery, signal: AbortSignal): Promise<Page<AdminUser>> {
		return unwrapPage(api.GET('/v1/admin/users', { params: { query }, signal }));
	}
}

export const users = new UserList();
