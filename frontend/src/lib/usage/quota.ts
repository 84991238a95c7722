/** The part of its limits that a team uses. */
import type { ResourceQuota, TeamQuota } from '../api/types';
import { formatMb } from '../format';
import { texts } from '../texts';

export type Resource = keyof TeamQuota;

export const RESOURCES = Object.keys(texts.usage.resources) as readonly Resource[];

/** Returns true for memory and disks, which are counted in MB. */
export function isInMb(resource: Resource): boolean {
	return resource.endsWith('_mb');
}

/** `3`, or `1.5 GB` for memory and disks. */
export function formatUse(resource: Resource, value: number): string {
	return isInMb(resource) ? formatMb(value) : value.toLocaleString('en');
}

export type QuotaLevel = 'fine' | 'near' | 'full' | 'over';

/** The part of the limit from which on it is marked. */
const NEAR = 0.8;

export function levelOf({ used, limit }: ResourceQuota): QuotaLevel {
	if (limit === null) return 'fine';
	if (used > limit) return 'over';
	// A limit of nothing at all stops everything.
	if (used === limit) return 'full';
	return used >= limit * NEAR ? 'near' : 'fine';
}

/** The used part of the limit, from 0 to 1; 0 without a limit. */
export function shareOf({ used, limit }: ResourceQuota): number {
	if (limit === null) return 0;
	return limit === 0 ? 1 : Math.min(1, used / limit);
}

export interface QuotaLine {
	name: Resource;
	label: string;
	/** `3 of 10`, or `3` without a limit. */
	text: string;
	quota: ResourceQuota;
	level: QuotaLevel;
}

export function quotaLines(quota: TeamQuota): QuotaLine[] {
	return RESOURCES.map((name) => {
		const amount = quota[name];
		const write = (value: number) => formatUse(name, value);
		const used = write(amount.used);
		return {
			name,
			label: texts.usage.resources[name],
			text: amount.limit === null ? used : texts.usage.of(used, write(amount.limit)),
			quota: amount,
			level: levelOf(amount)
		};
	});
}
