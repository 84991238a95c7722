import { expect, it } from 'vitest';
import { arrange } from './arrangement';

const shell = (tag: string) => ({ tag, cmd: 'bash', terminal: true });
const server = { tag: 'web', cmd: 'serve', terminal: false };

it('starts a terminal where there is none', () => {
	expect(arrange([], [])).toEqual({ takeUp: [], isNewWanted: true });
	expect(arrange([server], ['web', 'gone'])).toEqual({ takeUp: [], isNewWanted: true });
});

it('takes up those that were open here, if they still run', () => {
	const running = [shell('a'), server, shell('b')];
	expect(arrange(running, ['b', 'gone'])).toEqual({ takeUp: [shell('b')], isNewWanted: false });
});

it('leaves those of others alone, and starts nothing beside them', () => {
	expect(arrange([shell('a')], [])).toEqual({ takeUp: [], isNewWanted: false });
});
