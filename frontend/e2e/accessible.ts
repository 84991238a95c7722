/** Faults of a page for those who use it with a screen reader or a keyboard, as axe finds them. */
import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from '@playwright/test';

/**
 * Violations that are serious or worse, each with the rule and the elements.
 *
 * @param within a selector of the only part that is looked at
 */
export async function violations(page: Page, within = 'html'): Promise<string[]> {
	const { violations } = await new AxeBuilder({ page }).include(within).analyze();
	return violations
		.filter(({ impact }) => impact === 'serious' || impact === 'critical')
		.map(({ id, help, nodes }) => {
			const elements = nodes.map(
				({ html, any }) => `${html.slice(0, 160)} (${any[0]?.message ?? ''})`
			);
			return `${id}: ${help}: ${elements.slice(0, 4).join('; ')}`;
		});
}
