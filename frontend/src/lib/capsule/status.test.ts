import { describe, expect, it } from 'vitest';
import type { Capsule } from '../api/types';
import { explanation, isSettling, operationBeside, summarize } from './status';

function capsule(change: Partial<Capsule>): Capsule {
	return {
		id: 'cl-1',
		status: 'running',
		operation: null,
		last_error: null,
		stop_reason: null,
		template: 'minimal',
		template_id: 'tpl-1',
		host_id: 'host-1',
		vcpus: 1,
		memory_mb: 512,
		disk_size_mb: 5120,
		timeout_sec: 0,
		auto_resume: false,
		default_user: 'wrenn-user',
		metadata: {},
		created_at: '2026-03-01T12:00:00Z',
		started_at: null,
		last_active_at: null,
		last_updated: '2026-03-01T12:00:00Z',
		...change
	};
}

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

it('summarize counts the most frequent first', () => {
	expect(
		summarize([capsule({ status: 'paused' }), capsule({}), capsule({}), capsule({ id: 'cl-2' })])
	).toBe('3 running, 1 paused');
	expect(summarize([])).toBe('');
});
