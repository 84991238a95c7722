/** Capsules and templates for unit tests. */
import type { Capsule, Template } from '../api/types';

export function capsule(change: Partial<Capsule> = {}): Capsule {
	return {
		id: 'cl-1',
		status: 'running',
		operation: null,
		last_error: null,
		stop_reason: null,
		template: 'minimal',
		template_id: 'tpl-1',
		host_id: 'host-1',
		vcpus: 1,
		memory_mb: 512,
		disk_size_mb: 5120,
		timeout_sec: 0,
		auto_resume: false,
		default_user: 'wrenn-user',
		metadata: {},
		warnings: [],
		preview_access: 'token',
		preview_token: 'token-1',
		preview_url: 'http://{port}-cl-1.localhost:8000',
		created_by: null,
		created_at: '2026-03-01T12:00:00Z',
		started_at: null,
		last_active_at: null,
		last_updated: '2026-03-01T12:00:00Z',
		...change
	};
}

export function template(change: Partial<Template> = {}): Template {
	return {
		id: 'tpl-1',
		name: 'minimal',
		type: 'base',
		team_id: 'team-0',
		platform: true,
		vcpus: null,
		memory_mb: null,
		disk_size_mb: 5120,
		size_bytes: 0,
		default_user: 'root',
		created_at: '2026-03-01T12:00:00Z',
		...change
	};
}
