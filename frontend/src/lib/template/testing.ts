/** Templates for unit tests. */
import type { Template } from '../api/types';

export function template(change: Partial<Template> = {}): Template {
	return {
		id: 'tpl-1',
		name: 'python',
		type: 'base',
		team_id: 'team-1',
		platform: false,
		vcpus: null,
		memory_mb: null,
		disk_size_mb: 5120,
		size_bytes: 100_000_000,
		default_user: 'root',
		created_at: '2026-03-01T12:00:00Z',
		...change
	};
}
