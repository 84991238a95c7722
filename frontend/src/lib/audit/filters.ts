/** The filters of the audit log: in the address of the page, and as the API takes them. */
import type { AuditQuery } from '../api/types';

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
