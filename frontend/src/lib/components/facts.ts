/** The known facts about something, line by line. */

export type Fact = { label: string } & (
	| { kind: 'text'; value: string }
	/** As a machine writes it; with the page that shows it, if there is one. */
	| { kind: 'code'; value: string; href?: string }
	/** A name and a value that a user chose. */
	| { kind: 'variable'; value: string }
	| { kind: 'id'; value: string }
	/** The time that has passed since `at`. */
	| { kind: 'age'; at: string }
);

export function idFact(label: string, value: string | null | undefined): Fact[] {
	return value ? [{ kind: 'id', label, value }] : [];
}

export function ageFact(label: string, at: string | null | undefined): Fact[] {
	return at ? [{ kind: 'age', label, at }] : [];
}

export function variableFacts(variables: Record<string, string> | null | undefined): Fact[] {
	return Object.entries(variables ?? {}).map(([label, value]) => ({
		kind: 'variable',
		label,
		value
	}));
}
