import { expect, it } from 'vitest';
import { checkAuthForm } from './auth-form';

it('asks for email and password to sign in, and for nothing more', () => {
	expect(checkAuthForm('in', { name: '', email: 'ada@example.org', password: 'x' })).toEqual({});
	expect(Object.keys(checkAuthForm('in', { name: '', email: ' ', password: '' }))).toEqual([
		'email',
		'password'
	]);
});

it('asks for a name and a password of 8 characters to sign up', () => {
	const errors = checkAuthForm('up', { name: ' ', email: 'ada@example.org', password: '1234567' });
	expect(Object.keys(errors)).toEqual(['name', 'password']);
});
