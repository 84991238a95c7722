/** For what only makes sense while somebody can see the page. */

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
		if (isSeen) end = begin();
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
