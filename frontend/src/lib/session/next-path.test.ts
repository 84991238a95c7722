import { expect, it } from 'vitest';
import { loginPath, nextPath } from './next-path';

const next = (value: string) =>
	nextPath(new URL(`https://wrenn.test/login?next=${encodeURIComponent(value)}`));

it('leads back to where the user was', () => {
	expect(next('/dashboard/capsules/cl-1?tab=exec')).toBe('/dashboard/capsules/cl-1?tab=exec');
	expect(nextPath(new URL(loginPath('/dashboard/keys'), 'https://wrenn.test'))).toBe(
		'/dashboard/keys'
	);
	expect(loginPath('/dashboard/capsules/list')).toBe('/login');
});

it('never leads to another site or back to the login', () => {
	expect(next('https://evil.test/')).toBe('/dashboard/capsules/list');
	expect(next('//evil.test/')).toBe('/dashboard/capsules/list');
	expect(next('/\\evil.test')).toBe('/dashboard/capsules/list');
	expect(next('javascript:alert(1)')).toBe('/dashboard/capsules/list');
	expect(next('/login?next=/login')).toBe('/dashboard/capsules/list');
	expect(next('/auth/callback')).toBe('/dashboard/capsules/list');
	expect(next('http://[')).toBe('/dashboard/capsules/list');
	expect(next('/invitation?token=inv_1')).toBe('/invitation?token=inv_1');
});
