import { expect, it } from 'vitest';
import { commandText } from './command';

it('is a script as it was written', () => {
	expect(commandText({ cmd: "echo 'a b' | wc", args: [] })).toBe("echo 'a b' | wc");
});

it('is a program with its arguments as a shell would take them', () => {
	expect(commandText({ cmd: '/bin/ls', args: ['-l', 'a b', "it's", ''] })).toBe(
		"/bin/ls -l 'a b' 'it'\\''s' ''"
	);
});
