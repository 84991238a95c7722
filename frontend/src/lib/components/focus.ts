/** Moves the focus when something appears in the place of what had it. */
import type { Attachment } from 'svelte/attachments';

/** Focuses the first element that a selector finds below the one it is attached to. */
export function focusOnMount(selector: string): Attachment<HTMLElement> {
	return (element) => element.querySelector<HTMLElement>(selector)?.focus();
}
