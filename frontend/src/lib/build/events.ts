/** From server-sent events to what they say of a build. */
import { unexpectedAnswer } from '../api/errors';
import type { BuildHead } from '../api/types';
import type { ServerEvent } from '../streams/sse';
import type { BuildEvent, StepHead } from './log';

/** Null for what is none; later servers may say more than this page understands. */
export function readBuildEvent({ name, data, id }: ServerEvent): BuildEvent | null {
	switch (name) {
		case 'build':
			return { kind: 'build', build: parse(data) as BuildHead };
		case 'step':
			return { kind: 'step', step: parse(data) as StepHead };
		case 'line': {
			const line = parse(data) as { step: number; stream: 'stdout' | 'stderr'; text: string };
			return { kind: 'line', line: { ...line, number: /^\d+$/.test(id) ? Number(id) : null } };
		}
		case 'end':
			return { kind: 'end' };
		default:
			return null;
	}
}

function parse(data: string): unknown {
	try {
		const value: unknown = JSON.parse(data);
		if (typeof value === 'object' && value !== null) return value;
	} catch {
		// Said below.
	}
	throw unexpectedAnswer();
}
