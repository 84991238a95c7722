/** The columns of a table, as its head shows them. */
export interface Column {
	text: string;
	/** The classes that say where it is hidden and how it is aligned. */
	class?: string;
}
