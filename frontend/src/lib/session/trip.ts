/**
 * The way to an identity provider and back, which leaves the dashboard.
 *
 * The tab remembers that it went, and what for. Who comes back without having gone is not signed in: a link made by
 * somebody else could carry their session.
 */

const STORAGE_KEY = 'wrenn.provider-trip';

export type Trip =
	/** To sign in, and to go on at a path. */
	| { purpose: 'sign in'; next: string }
	/** To connect the provider to the account that is signed in. */
	| { purpose: 'connect' };

export function beginTrip(trip: Trip): void {
	try {
		sessionStorage.setItem(STORAGE_KEY, JSON.stringify(trip));
	} catch {
		// Without storage nobody can tell; the way back is refused then.
		return;
	}
}

/** The trip that ends now; null if there was none. */
export function endTrip(): Trip | null {
	try {
		const text = sessionStorage.getItem(STORAGE_KEY);
		sessionStorage.removeItem(STORAGE_KEY);
		return text === null ? null : (JSON.parse(text) as Trip);
	} catch {
		return null;
	}
}
