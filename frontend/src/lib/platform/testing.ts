/** Capsules of teams, as an administrator sees them, for unit tests. */
import type { AdminCapsule } from '../api/types';

export function adminCapsule(change: Partial<AdminCapsule> = {}): AdminCapsule {
	return {
		id: 'cl-1',
		team_id: 'team-1',
		team_name: 'Kites',
		status: 'running',
		operation: null,
		last_error: null,
		stop_reason: null,
		template: 'minimal',
		host_id: 'host-1',
		vcpus: 1,
		memory_mb: 512,
		disk_size_mb: 5120,
		timeout_sec: 0,
		auto_resume: false,
		metadata: {},
		created_at: '2026-03-01T12:00:00Z',
		started_at: null,
		last_active_at: null,
		last_updated: '2026-03-01T12:00:00Z',
		...change
	};
}
