import { describe, expect, it } from 'vitest';
import { explanation, isSettling, operationBeside } from './status';
import { capsule } from './testing';

describe('isSettling', () => {
	it('is true while starting and during any operation', () => {
		expect(isSettling(capsule({ status: 'starting' }))).toBe(true);
		expect(isSettling(capsule({ operation: 'flattening' }))).toBe(true);
		expect(isSettling(capsule({ operation: null }))).toBe(false);
	});
});

it('operationBeside does not repeat the status', () => {
	expect(operationBeside(capsule({ status: 'starting', operation: 'starting' }))).toBeNull();
	expect(operationBeside(capsule({ operation: 'destroying' }))).toBe('destroying');
});

it('explanation prefers the error to the reason', () => {
	expect(explanation(capsule({}))).toBeNull();
	expect(explanation(capsule({ stop_reason: 'vmm_exited' }))).toMatchObject({ kind: 'reason' });
	expect(explanation(capsule({ stop_reason: 'x', last_error: 'no space' }))).toEqual({
		kind: 'error',
		text: 'no space'
	});
});
