/** Whole numbers as they are typed into forms. */

/** The number, or what is wrong with it. */
export function parseWholeNumber(
	typed: string,
	label: string,
	min: number
): { value: number } | { problem: string } {
	const text = typed.trim();
	const value = Number(text);
	if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) {
		return { problem: `${label} must be a whole number.` };
	}
	return value < min ? { problem: `${label} must be at least ${min}.` } : { value };
}
