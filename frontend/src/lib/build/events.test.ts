import { expect, it } from 'vitest';
import { readBuildEvent } from './events';
import { build, step } from './testing';

const event = (name: string, data: unknown, id = '') => ({ name, data: JSON.stringify(data), id });

it('reads every event of a build', () => {
	expect(readBuildEvent(event('build', build()))).toEqual({ kind: 'build', build: build() });
	expect(readBuildEvent(event('step', step(2)))).toEqual({ kind: 'step', step: step(2) });
	const line = { step: 2, stream: 'stderr', text: 'oops' };
	expect(readBuildEvent(event('line', line, '17'))).toEqual({
		kind: 'line',
		line: { ...line, number: 17 }
	});
	expect(readBuildEvent(event('line', line, 'a-7'))).toEqual({
		kind: 'line',
		line: { ...line, number: null }
	});
	expect(readBuildEvent({ name: 'end', data: '', id: '' })).toEqual({ kind: 'end' });
});

it('passes over events of later servers, and refuses nonsense', () => {
	expect(readBuildEvent(event('weather', 'fine'))).toBeNull();
	for (const data of ['', '{', 'null', '7']) {
		expect(() => readBuildEvent({ name: 'build', data, id: '' })).toThrow('unexpected');
	}
});
