/** A command as one would type it. */

export function commandText({
	cmd,
	args
}: {
	cmd: string;
	args?: readonly string[] | null;
}): string {
	return args && args.length > 0 ? [cmd, ...args].map(quote).join(' ') : cmd;
}

function quote(word: string): string {
	return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
