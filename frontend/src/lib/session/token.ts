/** The claims of a token. Nothing of it is trusted here; the server checks it on every request. */

/** The lifetime of a token from the moment it was made, in milliseconds; null if it does not say. */
export function lifetimeMs(token: string): number | null {
	const claims = claimsOf(token);
	if (typeof claims.iat !== 'number' || typeof claims.exp !== 'number') return null;
	return Math.max(0, claims.exp - claims.iat) * 1_000;
}

function claimsOf(token: string): { iat?: unknown; exp?: unknown } {
	try {
		const payload = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/');
		const claims: unknown = JSON.parse(atob(payload));
		return typeof claims === 'object' && claims !== null ? claims : {};
	} catch {
		return {};
	}
}
