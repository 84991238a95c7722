/** Movements that a style sheet cannot make. */
import { prefersReducedMotion } from 'svelte/motion';
import type { TransitionConfig } from 'svelte/transition';

const ROW_MS = 150;

/**
 * Lets a new row slide in, as `in:slideIn` of an item of a list. The rows that are there when the list appears do not
 * move, and none does for those who want less motion.
 */
export const slideIn: (row: Element) => TransitionConfig = () => ({
	duration: prefersReducedMotion.current ? 0 : ROW_MS,
	css: (t) => `opacity: ${t}; translate: 0 ${(t - 1) * 8}px`
});
