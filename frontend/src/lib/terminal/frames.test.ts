import { expect, it, vi } from 'vitest';
import { decodeBase64 } from '../streams/base64';
import { connectFrame, inputFrames, readPtyFrame, resizeFrame, startFrame } from './frames';
import { OutputGate } from './output-gate';
import { isAnswer, ReplayWatch } from './replay';

const MIB = 1024 * 1024;

it('says what shall run, and how large', () => {
	const size = { cols: 100, rows: 30 };
	expect(startFrame('t', { cmd: '/bin/sh', user: 'root' }, size)).toEqual({
		type: 'start',
		tag: 't',
		cmd: '/bin/sh',
		user: 'root',
		cols: 100,
		rows: 30
	});
	expect(connectFrame('t')).toEqual({ type: 'connect', tag: 't' });
	expect(resizeFrame(size)).toEqual({ type: 'resize', cols: 100, rows: 30 });
});

it('cuts what is pasted into frames, and loses nothing', () => {
	const pasted = Uint8Array.from({ length: 3 * MIB + 5 }, (_, index) => index % 251);
	const frames = inputFrames(pasted);
	const parts = frames.map(({ data }) => decodeBase64(data as string));
	expect(Math.max(...frames.map((frame) => JSON.stringify(frame).length))).toBeLessThan(MIB / 4);
	expect(Buffer.concat(parts).equals(Buffer.from(pasted))).toBe(true);
	expect(inputFrames(new Uint8Array())).toEqual([]);
});

it('understands what the server says', () => {
	expect(readPtyFrame({ type: 'started', tag: 't', pid: 7 })).toEqual({
		kind: 'started',
		tag: 't',
		pid: 7
	});
	expect(readPtyFrame({ type: 'output', data: 'aGk=' })).toEqual({
		kind: 'output',
		bytes: new TextEncoder().encode('hi')
	});
	expect(readPtyFrame({ type: 'dropped', bytes: 9 })).toEqual({ kind: 'dropped', bytes: 9 });
	expect(readPtyFrame({ type: 'exit', exit_code: 130 })).toEqual({ kind: 'exited', code: 130 });
	const failed = (rest: object) => readPtyFrame({ type: 'error', data: 'no', ...rest });
	const failure = { kind: 'failed', message: 'no' };
	expect(failed({ fatal: false, code: 'invalid_request' })).toEqual({ ...failure, end: 'none' });
	expect(failed({ fatal: true, code: 'not_found' })).toEqual({ ...failure, end: 'final' });
	expect(failed({ fatal: true })).toEqual({ ...failure, end: 'final' });
	expect(failed({ fatal: true, code: 'host_unavailable' })).toEqual({ ...failure, end: 'passing' });
	expect(readPtyFrame({ type: 'output', data: '%%' })).toBeNull();
	expect(readPtyFrame({ type: 'of a later version' })).toBeNull();
});

it('tells answers of the terminal from what is typed', () => {
	const answers = ['\x1b[?1;2c', '\x1b[>0;276;0c', '\x1b[12;40R', '\x1b[0n', '\x1b[?2026;2$y'];
	const long = ['\x1b]11;rgb:1111/1111/1111\x1b\\', '\x1bP1$r0m\x1b\\', '\x1b[8;24;80t'];
	for (const data of [...answers, ...long]) expect(isAnswer(data)).toBe(true);
	for (const data of ['c', 'R', '\x1b', '\x1b[A', '\x1b[1;5C', '\x1b[15~', '\x03', 'ls\r']) {
		expect(isAnswer(data)).toBe(false);
	}
});

it('takes a replay to be over when it has been quiet for a moment', () => {
	vi.useFakeTimers();
	try {
		const watch = new ReplayWatch();
		watch.quietFromNow();
		expect(watch.isReplaying).toBe(false);
		watch.begin();
		vi.advanceTimersByTime(300);
		watch.quietFromNow();
		vi.advanceTimersByTime(300);
		expect(watch.isReplaying).toBe(true);
		vi.advanceTimersByTime(200);
		expect(watch.isReplaying).toBe(false);
	} finally {
		vi.useRealTimers();
	}
});

it('leaves output out while too much waits, and says how much', () => {
	const gate = new OutputGate();
	for (let chunk = 0; chunk < 16; chunk++) expect(gate.admit(MIB)).toBe(true);
	expect(gate.admit(MIB)).toBe(false);
	expect(gate.drawn(MIB)).toBe(0);
	expect(gate.admit(10)).toBe(false);
	for (let chunk = 0; chunk < 12; chunk++) expect(gate.drawn(MIB)).toBe(0);
	expect(gate.drawn(MIB)).toBe(MIB + 10);
	expect(gate.admit(MIB)).toBe(true);
	expect(gate.drawn(MIB)).toBe(0);
});
