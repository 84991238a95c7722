/** The sign-in and sign-up forms: what of the input can be sent at all. */

export interface AuthForm {
	name: string;
	email: string;
	password: string;
}

export type AuthMode = 'in' | 'up';
export type AuthFormErrors = Partial<Record<keyof AuthForm, string>>;

const PASSWORD_MIN_LENGTH = 8;
const NAME_MAX_LENGTH = 100;

/** Returns what is wrong per field; nothing if it can be sent. */
export function checkAuthForm(mode: AuthMode, form: AuthForm): AuthFormErrors {
	const errors: AuthFormErrors = {};
	if (!/^\S+@\S+$/.test(form.email.trim())) errors.email = 'Enter an email address.';
	if (mode === 'in') {
		if (form.password === '') errors.password = 'Enter your password.';
		return errors;
	}
	const name = form.name.trim();
	if (name === '') errors.name = 'Enter your name.';
	else if (name.length > NAME_MAX_LENGTH) errors.name = `At most ${NAME_MAX_LENGTH} characters.`;
	if (form.password.length < PASSWORD_MIN_LENGTH) {
		errors.password = `At least ${PASSWORD_MIN_LENGTH} characters.`;
	}
	return errors;
}
