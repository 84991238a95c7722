/** The sign-in and sign-up forms: which input can be sent. */
import { limits } from '../api/limits';
import { lengthProblem } from '../forms/text-length';

export interface AuthForm {
	name: string;
	email: string;
	password: string;
}

export type AuthMode = 'in' | 'up';
export type AuthFormErrors = Partial<Record<keyof AuthForm, string>>;

const LIMITS = limits.SignupRequest;

/** Returns what is wrong per field; nothing if it can be sent. */
export function checkAuthForm(mode: AuthMode, form: AuthForm): AuthFormErrors {
	const errors: AuthFormErrors = {};
	if (!/^\S+@\S+$/.test(form.email.trim())) errors.email = 'Enter an email address.';
	if (mode === 'in') {
		if (form.password === '') errors.password = 'Enter your password.';
		return errors;
	}
	const check = (field: keyof AuthForm, text: string) => {
		const problem = lengthProblem(text, LIMITS[field]);
		if (problem !== null) errors[field] ??= problem;
	};
	const name = form.name.trim();
	if (name === '') errors.name = 'Enter your name.';
	check('name', name);
	check('email', form.email.trim());
	check('password', form.password);
	return errors;
}
