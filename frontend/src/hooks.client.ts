/**
 * Parts of the dashboard that cannot be loaded: the server has another version now, or the network changed just then.
 *
 * The page is loaded anew, once in a while: a part that is missing for good is told by the error page.
 */

const KEY = 'wrenn.reloaded';
const AGAIN_AFTER_MS = 30_000;

addEventListener('vite:preloadError', (event) => {
	if (Date.now() - lastReloadMs() < AGAIN_AFTER_MS) return;
	try {
		sessionStorage.setItem(KEY, String(Date.now()));
	} catch {
		// Without storage the second failure could not be told from the first.
		return;
	}
	// Otherwise the error page shows for a moment.
	event.preventDefault();
	location.reload();
});

function lastReloadMs(): number {
	try {
		return Number(sessionStorage.getItem(KEY) ?? 0);
	} catch {
		return Date.now();
	}
}
