/** Builds for unit tests. */
import type { BuildHead } from '../api/types';
import type { BuildEvent, StepHead } from './log';

export function build(change: Partial<BuildHead> = {}): BuildHead {
	return {
		id: 'build-1',
		team_id: 'team-0000000000000000000000000',
		name: 'python',
		base_template: 'minimal',
		recipe: ['RUN true'],
		healthcheck: null,
		vcpus: 1,
		memory_mb: 512,
		disk_size_mb: 5120,
		skip_pre_post: false,
		no_cache: false,
		status: 'running',
		stage: 'steps',
		current_step: 1,
		total_steps: 4,
		error: null,
		sandbox_id: null,
		host_id: null,
		template_id: null,
		default_user: 'root',
		default_env: {},
		attempt: 1,
		created_at: '2026-03-01T12:00:00Z',
		started_at: '2026-03-01T12:00:01Z',
		completed_at: null,
		...change
	};
}

export function step(number: number, change: Partial<StepHead> = {}): StepHead {
	return {
		step: number,
		phase: 'recipe',
		cmd: `RUN step ${number}`,
		exit: null,
		ok: null,
		elapsed_ms: 0,
		cached: false,
		started_at: '2026-03-01T12:00:02Z',
		...change
	};
}

export function line(
	step: number,
	text: string,
	number: number | null = null,
	stream: 'stdout' | 'stderr' = 'stdout'
): BuildEvent {
	return { kind: 'line', line: { step, stream, text, number } };
}
