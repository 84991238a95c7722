/** The filters of the audit log: in the address of the page, and as the API takes them. */
import type { AuditQuery } from '../api/types';
import { texts } from '../texts';
import type { AuditScope } from './scope';

export interface AuditFilters {
	/** Kind of the resource, such as `capsule`. */
	resource: string;
	/** Name of the action, such as `capsule.create`. */
	action: string;
	/** Id of a user, an API key or a host. */
	actor: string;
	/** The first and the last day, as fields of type `date` have them, in local time. */
	since: string;
	until: string;
}

export const NO_FILTERS: AuditFilters = {
	resource: '',
	action: '',
	actor: '',
	since: '',
	until: ''
};

const NAMES = Object.keys(NO_FILTERS) as (keyof AuditFilters)[];

export function filtersFrom(params: URLSearchParams): AuditFilters {
	const filters = { ...NO_FILTERS };
	for (const name of NAMES) filters[name] = params.get(name) ?? '';
	for (const name of ['since', 'until'] as const) {
		if (startOfDay(filters[name], 0) === undefined) filters[name] = '';
	}
	return filters;
}

/** Returns the part behind the path, with its question mark; empty without filters. */
export function searchOf(filters: AuditFilters): string {
	const params = new URLSearchParams();
	for (const name of NAMES) if (filters[name] !== '') params.set(name, filters[name]);
	const text = params.toString();
	return text === '' ? '' : `?${text}`;
}

/** Kinds of resources and actions that only the log of the platform has, but for those that every account begins with. */
const OF_PLATFORM = /^(server$|settings\.|user\.(?!sign_up$)|build\.create_platform$)/;

/** The kinds of resources that a log can be filtered by. */
export function resourcesOf(scope: AuditScope): string[] {
	return namesFor(scope, texts.audit.resources);
}

/** The actions that a log can be filtered by, on resources of that kind unless it is empty. */
export function actionsOf(scope: AuditScope, resource: string): string[] {
	return namesFor(scope, texts.audit.actions).filter((action) => isActionOn(action, resource));
}

/** Returns true if the action is one on resources of that kind; an empty kind stands for all. */
export function isActionOn(action: string, resource: string): boolean {
	const prefix = resource === 'server' ? 'settings' : resource;
	return resource === '' || action.startsWith(`${prefix}.`);
}

function namesFor(scope: AuditScope, names: Record<string, string>): string[] {
	return Object.keys(names).filter((name) => scope === 'platform' || !OF_PLATFORM.test(name));
}

export function isFiltered(filters: AuditFilters): boolean {
	return NAMES.some((name) => filters[name] !== '');
}

export function queryOf({ resource, action, actor, since, until }: AuditFilters): AuditQuery {
	return {
		resource_type: resource || undefined,
		action: action || undefined,
		actor_id: actor || undefined,
		since: startOfDay(since, 0),
		// The last day counts to its end.
		until: startOfDay(until, 1)
	};
}

/** The time at which the day begins that is so many days after `day`. */
function startOfDay(day: string, later: number): string | undefined {
	const match = /^(\d{4})-(\d\d)-(\d\d)$/.exec(day);
	if (!match) return undefined;
	const [year, month, date] = match.slice(1).map(Number) as [number, number, number];
	const start = new Date(year, month - 1, date + later);
	return Number.isNaN(start.getTime()) ? undefined : start.toISOString();
}
