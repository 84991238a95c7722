import { expect, it } from 'vitest';
import { limits } from '../api/limits';
import { checkAuthForm, checkNewPassword } from './auth-form';

it('asks for email and password to sign in, and for nothing more', () => {
	expect(checkAuthForm('in', { name: '', email: 'ada@example.org', password: 'x' })).toEqual({});
	expect(Object.keys(checkAuthForm('in', { name: '', email: ' ', password: '' }))).toEqual([
		'email',
		'password'
	]);
});

it('asks for a name and a password of 8 characters to sign up', () => {
	const errors = checkAuthForm('up', { name: ' ', email: 'ada@example.org', password: '1234567' });
	expect(errors).toEqual({ name: 'Enter your name.', password: 'At least 8 characters.' });
});

it('refuses what is longer than the API allows', () => {
	const { name, email } = limits.SignupRequest;
	const filled = (nameLength: number, emailLength: number) => ({
		name: 'a'.repeat(nameLength),
		email: '@example.org'.padStart(emailLength, 'a'),
		password: 'correct horse battery staple'
	});
	expect(checkAuthForm('up', filled(name.maxLength, email.maxLength))).toEqual({});
	expect(checkAuthForm('up', filled(name.maxLength + 1, email.maxLength + 1))).toEqual({
		name: `At most ${name.maxLength} characters.`,
		email: `At most ${email.maxLength} characters.`
	});
});

it('wants a new password to be long enough, and typed twice', () => {
	const check = (password: string, again: string) => checkNewPassword({ password, again });
	expect(check('1234567', '1234567')).toEqual({ password: 'At least 8 characters.' });
	expect(check('12345678', '12345679')).toEqual({ again: 'The two passwords are not the same.' });
	expect(check('12345678', '12345678')).toEqual({});
});
