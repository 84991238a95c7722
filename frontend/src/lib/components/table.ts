/** The columns of a table, as its head shows them. */
export interface Column {
	text: string;
	/** Where it is hidden, how it is aligned. */
	class?: string;
}
