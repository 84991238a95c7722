/** Scope of the audit log: that of the team that somebody acts for, or that of all teams and the platform, for its administrators. */
import type { OperationId } from '../session/principal.svelte';

export type AuditScope = 'team' | 'platform';

export const API = { team: '/v1/audit-logs', platform: '/v1/admin/audit-logs' } as const;

export const OPERATIONS = {
	team: 'list_audit_logs',
	platform: 'list_all_audit_logs'
} as const satisfies Record<AuditScope, OperationId>;
