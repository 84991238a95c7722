/** Which templates of a list somebody wants to see. */
import type { Template, TemplateType } from '../api/types';

export interface TemplateFilter {
	/** Part of the name, the id, or what the owner is called. */
	text: string;
	/** Empty for all of them. */
	type: TemplateType | '';
}

export const NO_FILTER: Readonly<TemplateFilter> = { text: '', type: '' };

/** @param owner what the one whom it belongs to is called */
export function filterTemplates<T extends Template>(
	items: readonly T[],
	{ text, type }: TemplateFilter,
	owner: (template: T) => string
): readonly T[] {
	const wanted = text.trim().toLowerCase();
	return items.filter(
		(template) =>
			(type === '' || template.type === type) &&
			[template.name, template.id, owner(template)].some((value) =>
				value.toLowerCase().includes(wanted)
			)
	);
}
