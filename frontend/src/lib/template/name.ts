/** What templates can be called. */

const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/** What is wrong with a name; null if nothing is. */
export function templateNameProblem(name: string): string | null {
	return NAME.test(name)
		? null
		: 'Up to 63 lower-case letters, digits, dots, dashes and underscores; the first a letter or digit.';
}
