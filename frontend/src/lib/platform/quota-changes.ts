/** The limits that were changed in the form and are not saved. */
import type { QuotaLimits } from '../api/types';
import { texts } from '../texts';
import { formatUse, RESOURCES, type Resource } from '../usage/quota';
import { draftOf, type QuotaDraft } from '../usage/quota-form';

/** The fields in which something else stands than what is known. */
export function changesOf(draft: QuotaDraft, known: QuotaLimits): readonly Resource[] {
	const saved = draftOf(known);
	return RESOURCES.filter((resource) => draft[resource].trim() !== saved[resource]);
}

/** `no limit`, `4`, `2 GB`. */
export function limitText(resource: Resource, limit: number | null | undefined): string {
	if (limit == null) return texts.usage.noLimit;
	return formatUse(resource, limit);
}
