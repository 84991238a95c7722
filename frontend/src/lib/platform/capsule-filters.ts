/** Which capsules of all teams are shown: a part of the address, so that it can be kept and sent. */
import type { AdminCapsule, CapsuleStatus } from '../api/types';
import { STATUSES } from '../capsule/list-query';

export interface CapsuleFilters {
	/** Part of an id, or of the name of a team, a template or a host. */
	text: string;
	status: CapsuleStatus | null;
	/** Ids; empty for all. */
	team: string;
	host: string;
	/** From 1. */
	page: number;
}

export const NO_FILTERS: Readonly<CapsuleFilters> = {
	text: '',
	status: null,
	team: '',
	host: '',
	page: 1
};

/** Reads an address; parts that are missing or not understood get their defaults. */
export function filtersFrom(params: URLSearchParams): CapsuleFilters {
	return {
		text: params.get('q') ?? '',
		status: STATUSES.find((one) => one === params.get('status')) ?? null,
		team: params.get('team') ?? '',
		host: params.get('host') ?? '',
		page: Math.max(1, Math.floor(Number(params.get('page'))) || 1)
	};
}

/** The part of an address behind its path; empty without filters. */
export function searchOf({ text, status, team, host, page }: CapsuleFilters): string {
	const params = new URLSearchParams();
	if (text !== '') params.set('q', text);
	if (status !== null) params.set('status', status);
	if (team !== '') params.set('team', team);
	if (host !== '') params.set('host', host);
	if (page > 1) params.set('page', String(page));
	const search = params.toString();
	return search === '' ? '' : `?${search}`;
}

export function filterCapsules(
	items: readonly AdminCapsule[],
	{ text, status, team, host }: CapsuleFilters
): readonly AdminCapsule[] {
	const wanted = text.trim().toLowerCase();
	return items.filter(
		(capsule) =>
			(status === null || capsule.status === status) &&
			(team === '' || capsule.team_id === team) &&
			(host === '' || capsule.host_id === host) &&
			(wanted === '' || namesOf(capsule).some((name) => name.toLowerCase().includes(wanted)))
	);
}

function namesOf({ id, team_id, team_name, template, host_id }: AdminCapsule): string[] {
	return [id, team_id, team_name, template, host_id];
}

export interface Choice {
	id: string;
	name: string;
}

/** The teams and the hosts that have capsules, by name; one that is chosen stays, though it has none. */
export function choicesOf(
	items: readonly AdminCapsule[],
	{ team, host }: CapsuleFilters
): { teams: Choice[]; hosts: Choice[] } {
	const teams = new Map(items.map(({ team_id, team_name }) => [team_id, team_name]));
	const hosts = new Map(items.map(({ host_id }) => [host_id, host_id]));
	if (team !== '' && !teams.has(team)) teams.set(team, team);
	if (host !== '' && !hosts.has(host)) hosts.set(host, host);
	return { teams: byName(teams), hosts: byName(hosts) };
}

function byName(names: ReadonlyMap<string, string>): Choice[] {
	return [...names]
		.filter(([id]) => id !== '')
		.map(([id, name]) => ({ id, name }))
		.sort((a, b) => a.name.localeCompare(b.name));
}
