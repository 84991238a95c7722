/** Whole numbers as they are typed into forms. */
import { texts } from '../texts';

/** Bounds of a number, as `limits` has them. A missing bound is left to the server. */
export interface NumberBounds {
	minimum?: number;
	maximum?: number;
}

/** The number, or what is wrong with it. */
export function parseWholeNumber(
	typed: string,
	label: string,
	{ minimum = 0, maximum = Infinity }: NumberBounds
): { value: number } | { problem: string } {
	const text = typed.trim();
	const value = Number(text);
	if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) {
		return { problem: texts.forms.wholeNumber(label) };
	}
	if (value < minimum) return { problem: texts.forms.atLeast(label, minimum) };
	if (value > maximum) return { problem: texts.forms.atMost(label, maximum) };
	return { value };
}
