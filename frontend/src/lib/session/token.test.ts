import { expect, it } from 'vitest';
import { lifetimeMs } from './token';

const token = (claims: unknown) =>
	`head.${btoa(JSON.stringify(claims)).replaceAll('+', '-').replaceAll('/', '_')}.signature`;

it('takes the difference of two times of the same clock', () => {
	expect(lifetimeMs(token({ iat: 1_000, exp: 1_000 + 6 * 3600, name: 'ü?>~ÿ' }))).toBe(21_600_000);
	expect(lifetimeMs(token({ iat: 1_000, exp: 900 }))).toBe(0);
});

it('knows nothing of a token that does not say', () => {
	for (const odd of ['', 'worn.out.token', 'opaque', token(null), token({ exp: 5 }), token([])]) {
		expect(lifetimeMs(odd)).toBeNull();
	}
});
