/** Which terminals a page opens by itself. */

/** The known facts about a process that runs. */
export interface Running {
	tag: string;
	cmd: string;
	terminal: boolean;
}

export interface Arrangement {
	/** The terminals to take up. */
	takeUp: readonly Running[];
	/** True if a new one is to be started. */
	isNewWanted: boolean;
}

/**
 * The terminals that this tab of the browser had open before, or a new one if none runs at all. Those
 * of others are left for the user to choose.
 */
export function arrange(running: readonly Running[], remembered: readonly string[]): Arrangement {
	const terminals = running.filter(({ terminal }) => terminal);
	return {
		takeUp: terminals.filter(({ tag }) => remembered.includes(tag)),
		isNewWanted: terminals.length === 0
	};
}
