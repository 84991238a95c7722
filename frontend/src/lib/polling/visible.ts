/** For what only makes sense while somebody can see the page. */
import { untrack } from 'svelte';

/**
 * Begins whenever the page becomes visible, also at once, and ends when nobody sees it any more or the
 * returned function is called.
 *
 * @param begin returns the function that ends it
 */
export function whileVisible(begin: () => () => void): () => void {
	let end: (() => void) | undefined;
	const update = () => {
		const isSeen = document.visibilityState === 'visible';
		if (isSeen === (end !== undefined)) return;
		// A caller inside an effect does not want to begin anew for what is looked at meanwhile.
		if (isSeen) end = untrack(begin);
		else stop();
	};
	const stop = () => {
		end?.();
		end = undefined;
	};
	document.addEventListener('visibilitychange', update);
	update();
	return () => {
		document.removeEventListener('visibilitychange', update);
		stop();
	};
}
