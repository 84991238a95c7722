/**
 * Scope of hosts: those that a team has brought, as the team sees them, or all of them, as an administrator of the platform sees
 * and manages them. The platform's own hosts and those of teams have a tab each there.
 */
import type { HostType } from '../api/types';

export type HostScope = 'team' | 'platform';

const KIND = 'kind';

/** The kind of hosts that the administration shows at an address. */
export function kindAt(url: URL): HostType {
	return url.searchParams.get(KIND) === 'byoc' ? 'byoc' : 'regular';
}

/** The address of the tab of a kind, from the address of the page. */
export function tabOf(page: string, kind: HostType): string {
	return kind === 'byoc' ? `${page}?${KIND}=byoc` : page;
}

/** A list of hosts as somebody sees it: a team's own, or one of the administration's tabs. */
export type HostView = 'team' | HostType;
