/**
 * Something that can be done with a thing. Each feature declares its own once, in `actions.ts`, as
 * `getXActions(principal, item, …)`; rows, menus and pages only show them.
 */
import type { Component } from 'svelte';

export interface Action {
	id: string;
	/** The verb. */
	text: string;
	/** The verb with the name of the thing, for those who do not see the row: `Pause cl-1`. The verb alone if absent. */
	label?: string;
	/** More about it, beside the verb where there is room: in menus. */
	hint?: string;
	icon: Component<{ class?: string }>;
	/** Why it cannot be done now, by its state or for want of permission; null if it can. */
	obstacle: string | null;
	look?: 'plain' | 'danger';
	/** Does it, or asks first. */
	run: () => void;
}
