import { expect, it } from 'vitest';
import { backoffMs } from './backoff';
import { decodeBase64, encodeBase64 } from './base64';
import { parseFrame } from './socket';
import { EventParser, readEvents } from './sse';

it('carries any bytes through base64', () => {
	const bytes = Uint8Array.from({ length: 100_000 }, (_, index) => (index * 31) % 256);
	expect(decodeBase64(encodeBase64(bytes))).toEqual(bytes);
	expect(encodeBase64(new Uint8Array())).toBe('');
	expect(() => decodeBase64('%')).toThrow();
});

it('waits longer after each failure, up to a limit', () => {
	const delays = [1, 2, 3, 4, 5, 6, 7, 1_000].map((failures) => backoffMs(failures, 0.5));
	expect(delays).toEqual([500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
	expect(backoffMs(3, 0)).toBe(1_500);
	expect(backoffMs(3, 1)).toBe(2_500);
});

it('takes frames and nothing else', () => {
	expect(parseFrame('{"type":"output","data":"eA=="}')).toEqual({ type: 'output', data: 'eA==' });
	for (const data of [
		'',
		'{',
		'null',
		'[]',
		'{"kind":"output"}',
		'{"type":1}',
		new ArrayBuffer(2)
	]) {
		expect(parseFrame(data)).toBeNull();
	}
});

const STREAM =
	': hello\n\nevent: ready\n\nid: 7\nevent: change\r\ndata: {"a":\r\ndata: 1}\r\n\r\ndata:x\n\n';
const EVENTS = [
	{ name: 'ready', data: '', id: '' },
	{ name: 'change', data: '{"a":\n1}', id: '7' },
	{ name: 'message', data: 'x', id: '7' }
];

it('reads the same events however the text is cut', () => {
	for (let size = 1; size <= STREAM.length; size++) {
		const parser = new EventParser();
		const events = [];
		for (let at = 0; at < STREAM.length; at += size) {
			events.push(...parser.push(STREAM.slice(at, at + size)));
		}
		expect(events).toEqual(EVENTS);
	}
});

it('reads events from a body, with letters cut in two', async () => {
	const bytes = new TextEncoder().encode('data: größe\n\n');
	const body = new ReadableStream<Uint8Array>({
		start(controller) {
			for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
			controller.close();
		}
	});
	const events = [];
	for await (const event of readEvents(body)) events.push(event);
	expect(events).toEqual([{ name: 'message', data: 'größe', id: '' }]);
});

it('does not wait for ever for a server that has fallen silent', async () => {
	const silent = new ReadableStream<Uint8Array>();
	await expect(readEvents(silent, 5).next()).rejects.toThrow('silent for too long');
});
