/**
 * Scope of builds: those of the team that somebody acts for, or all of them, as an administrator of
 * the platform sees and makes them. The two differ in where the API has them and in who may do what,
 * see `paths.ts` for their pages.
 */
import type { OperationId } from '../session/principal.svelte';

export type BuildScope = 'team' | 'platform';

export const API = {
	team: {
		builds: '/v1/builds',
		build: '/v1/builds/{id}',
		logs: '/v1/builds/{id}/logs',
		cancel: '/v1/builds/{id}/cancel'
	},
	platform: {
		builds: '/v1/admin/builds',
		build: '/v1/admin/builds/{id}',
		logs: '/v1/admin/builds/{id}/logs',
		cancel: '/v1/admin/builds/{id}/cancel'
	}
} as const;

export const OPERATIONS = {
	team: { list: 'list_team_builds', create: 'create_team_build', cancel: 'cancel_team_build' },
	platform: { list: 'list_builds', create: 'create_build', cancel: 'cancel_build' }
} as const satisfies Record<BuildScope, Record<string, OperationId>>;
