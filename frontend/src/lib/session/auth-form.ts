/** The forms for those who are not signed in: which input can be sent. */
import { limits } from '../api/limits';
import { lengthProblem } from '../forms/text-length';
import { texts } from '../texts';

export interface AuthForm {
	name: string;
	email: string;
	password: string;
}

export type AuthMode = 'in' | 'up';
export type AuthFormErrors = Partial<Record<keyof AuthForm, string>>;

const LIMITS = limits.SignupRequest;
const words = texts.session;

/** Returns what is wrong per field; nothing if it can be sent. */
export function checkAuthForm(mode: AuthMode, form: AuthForm): AuthFormErrors {
	const errors: AuthFormErrors = {};
	const emailError = emailProblem(form.email);
	if (emailError) errors.email = emailError;
	if (mode === 'in') {
		if (form.password === '') errors.password = words.enterPassword;
		return errors;
	}
	const check = (field: keyof AuthForm, text: string) => {
		const problem = lengthProblem(text, LIMITS[field]);
		if (problem !== null) errors[field] ??= problem;
	};
	const name = form.name.trim();
	if (name === '') errors.name = words.enterName;
	check('name', name);
	check('email', form.email.trim());
	check('password', form.password);
	return errors;
}

/** The problem with an address; null if it may be one. */
export function emailProblem(email: string): string | null {
	return /^\S+@\S+$/.test(email.trim()) ? null : words.enterEmail;
}

export interface NewPassword {
	password: string;
	again: string;
}

/** Returns what is wrong per field with a new password that was typed twice. */
export function checkNewPassword({ password, again }: NewPassword): Partial<NewPassword> {
	const problem = lengthProblem(password, limits.ResetPasswordRequest.new_password);
	if (problem !== null) return { password: problem };
	return password === again ? {} : { again: words.notTheSame };
}
