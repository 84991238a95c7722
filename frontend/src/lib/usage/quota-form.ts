/** Limits as they are typed into a form. An empty field sets none. */
import type { QuotaLimits } from '../api/types';
import { parseWholeNumber } from '../forms/whole-number';
import { texts } from '../texts';
import { RESOURCES, type Resource } from './quota';

export type QuotaDraft = Record<Resource, string>;
export type QuotaProblems = Partial<Record<Resource, string>>;

export function draftOf(limits: QuotaLimits): QuotaDraft {
	const draft = RESOURCES.map((resource) => [resource, String(limits[resource] ?? '')]);
	return Object.fromEntries(draft) as QuotaDraft;
}

/** Returns the limits, or what is wrong with them. How large one may be is left to the server. */
export function readQuota(
	draft: QuotaDraft
): { limits: QuotaLimits } | { problems: QuotaProblems } {
	const limits: QuotaLimits = {};
	const problems: QuotaProblems = {};
	for (const resource of RESOURCES) {
		const typed = draft[resource];
		if (typed.trim() === '') {
			limits[resource] = null;
			continue;
		}
		const read = parseWholeNumber(typed, texts.usage.resources[resource], { minimum: 0 });
		if ('problem' in read) problems[resource] = read.problem;
		else limits[resource] = read.value;
	}
	return Object.keys(problems).length > 0 ? { problems } : { limits };
}

/** The number of resources for which there is a limit. */
export function countLimits(limits: QuotaLimits): number {
	return RESOURCES.filter((resource) => typeof limits[resource] === 'number').length;
}
