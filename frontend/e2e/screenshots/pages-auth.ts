/** Pages of somebody who is not signed in, and the two that nobody looks for. */
import type { Picture } from './pages';

export const AUTH_PAGES: readonly Picture[] = [
	{
		route: '/login',
		name: 'login',
		path: () => '/login',
		viewer: 'nobody',
		states: ['filled', 'loading', 'error']
	},
	{
		route: '/login',
		name: 'sign-up',
		path: () => '/login',
		viewer: 'nobody',
		states: ['filled'],
		fill: async (page) => {
			await page.getByRole('tab', { name: 'Sign up' }).click();
			await page.getByLabel('Name').fill('Ada Fairweather');
			await page.getByLabel('Email').fill('ada');
			await page.getByLabel('Password').fill('short');
			await page.getByRole('button', { name: 'Create account' }).click();
		}
	},
	{
		route: '/forgot-password',
		name: 'forgot-password',
		path: () => '/forgot-password',
		viewer: 'nobody',
		states: ['filled', 'loading', 'error']
	},
	{
		route: '/reset-password',
		name: 'reset-password',
		path: () => '/reset-password?token=0123456789abcdef',
		viewer: 'nobody',
		states: ['filled']
	},
	{
		route: '/reset-password',
		name: 'reset-password-incomplete',
		path: () => '/reset-password',
		viewer: 'nobody',
		states: ['filled']
	},
	{
		route: '/activate',
		name: 'activate',
		path: () => '/activate?token=0123456789abcdef',
		viewer: 'nobody',
		states: ['loading', 'error']
	},
	{
		route: '/invitation',
		name: 'invitation',
		path: () => '/invitation?token=0123456789abcdef',
		viewer: 'nobody',
		states: ['filled', 'loading', 'error']
	},
	{
		route: '/invitation',
		name: 'invitation-signed-in',
		path: () => '/invitation?token=0123456789abcdef',
		viewer: 'newcomer',
		states: ['filled']
	},
	{
		route: '/setup',
		name: 'setup',
		path: () => '/setup?token=0123456789abcdef',
		viewer: 'nobody',
		states: ['filled']
	},
	{
		route: '/auth/callback',
		name: 'auth-callback',
		path: () => '/auth/callback#error=access_denied',
		viewer: 'nobody',
		states: ['filled']
	},
	{
		route: '/[...path]',
		name: 'not-found',
		path: () => '/no/such/page',
		viewer: 'nobody',
		states: ['filled']
	}
];
