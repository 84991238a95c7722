/** Makes an element reach down to the end of the window, whatever stands above it. */
import type { Attachment } from 'svelte/attachments';

/** The space that stays free below it: as much as the page leaves around its content. */
const BELOW_PX = 20;

export const fill: Attachment<HTMLElement> = (node) => {
	const fit = () => {
		const top = Math.round(node.getBoundingClientRect().top + window.scrollY);
		node.style.height = `max(22rem, calc(100dvh - ${top + BELOW_PX}px))`;
	};
	// Whatever grows or shrinks above it changes the height of the page or of what it stands in.
	const observer = new ResizeObserver(fit);
	observer.observe(document.body);
	if (node.parentElement) observer.observe(node.parentElement);
	fit();
	return () => observer.disconnect();
};
