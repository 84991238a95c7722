/**
 * The frames of `GET /v1/capsules/{id}/pty`.
 *
 *   we: auth, start | connect, then input, resize, kill
 *   the server: started, output …, dropped, exit | error
 */
import { decodeBase64, encodeBase64 } from '../streams/base64';
import type { Frame } from '../streams/socket';

export interface Size {
	cols: number;
	rows: number;
}

/** The program that a new terminal runs; what is left out is the server's choice. */
export interface Program {
	cmd?: string;
	cwd?: string;
	user?: string;
}

export type PtyEvent =
	| { kind: 'started'; pid: number; tag: string }
	| { kind: 'output'; bytes: Uint8Array<ArrayBuffer> }
	| { kind: 'dropped'; bytes: number }
	| { kind: 'exited'; code: number }
	| { kind: 'failed'; message: string; end: 'none' | 'passing' | 'final' };

/** Codes of errors that say nothing against the program: whoever comes again may be served. */
const PASSING = ['host_unavailable', 'agent_error', 'internal_error'];

/** The server refuses frames above 1 MiB; short ones also let a resize through in between. */
const INPUT_BYTES = 16_384;

export function startFrame(tag: string, program: Program, { cols, rows }: Size): Frame {
	return { type: 'start', tag, ...program, cols, rows };
}

export function connectFrame(tag: string): Frame {
	return { type: 'connect', tag };
}

export function resizeFrame({ cols, rows }: Size): Frame {
	return { type: 'resize', cols, rows };
}

/** The input that was typed or pasted, in as many frames as it takes. */
export function inputFrames(bytes: Uint8Array): Frame[] {
	const frames: Frame[] = [];
	for (let at = 0; at < bytes.length; at += INPUT_BYTES) {
		frames.push({ type: 'input', data: encodeBase64(bytes.subarray(at, at + INPUT_BYTES)) });
	}
	return frames;
}

/** The message of the server, or null for one that this page does not understand. */
export function readPtyFrame(frame: Frame): PtyEvent | null {
	switch (frame.type) {
		case 'started':
			return { kind: 'started', pid: number(frame.pid), tag: text(frame.tag) };
		case 'output':
			return readOutput(text(frame.data));
		case 'dropped':
			return { kind: 'dropped', bytes: number(frame.bytes) };
		case 'exit':
			return { kind: 'exited', code: number(frame.exit_code) };
		case 'error':
			return { kind: 'failed', message: text(frame.data), end: endOf(frame) };
		default:
			return null;
	}
}

function readOutput(data: string): PtyEvent | null {
	try {
		return { kind: 'output', bytes: decodeBase64(data) };
	} catch {
		return null;
	}
}

/** The effect of an error on the connection. */
function endOf({ fatal, code }: Frame): 'none' | 'passing' | 'final' {
	if (fatal !== true) return 'none';
	return PASSING.includes(text(code)) ? 'passing' : 'final';
}

function text(value: unknown): string {
	return typeof value === 'string' ? value : '';
}

function number(value: unknown): number {
	return typeof value === 'number' ? value : 0;
}
