/** Lengths of texts as they are typed into forms. */
import { texts } from '../texts';

/** Bounds of a length, as `limits` has them. A missing bound is left to the server. */
export interface LengthBounds {
	minLength?: number;
	maxLength?: number;
}

/** Returns the problem with a length; null if there is none. Counts code points, as the server does. */
export function lengthProblem(
	text: string,
	{ minLength = 0, maxLength = Infinity }: LengthBounds
): string | null {
	const length = Array.from(text).length;
	if (length < minLength) return texts.forms.atLeastCharacters(minLength);
	if (length > maxLength) return texts.forms.atMostCharacters(maxLength);
	return null;
}
