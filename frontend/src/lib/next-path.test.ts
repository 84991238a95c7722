import { expect, it } from 'vitest';
import { loginPath, nextPath } from './next-path';

const next = (value: string) =>
	nextPath(new URL(`https://wrenn.test/login?next=${encodeURIComponent(value)}`));

it('leads back to where the user was', () => {
	expect(next('/capsules/cl-1?tab=exec')).toBe('/capsules/cl-1?tab=exec');
	expect(nextPath(new URL(loginPath('/keys'), 'https://wrenn.test'))).toBe('/keys');
	expect(loginPath('/capsules')).toBe('/login');
});

it('never leads to another site or back to the login', () => {
	expect(next('https://evil.test/')).toBe('/capsules');
	expect(next('//evil.test/')).toBe('/capsules');
	expect(next('/\\evil.test')).toBe('/capsules');
	expect(next('javascript:alert(1)')).toBe('/capsules');
	expect(next('/login?next=/login')).toBe('/capsules');
});
