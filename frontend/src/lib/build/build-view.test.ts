import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Build } from '../api/types';
import { ApiError } from '../api/errors';
import { BuildView } from './build-view.svelte';
import { followBuild, getBuild } from './service';
import { build, step } from './testing';

vi.mock('./service', () => ({ followBuild: vi.fn(), getBuild: vi.fn() }));
const follow = vi.mocked(followBuild);
const look = vi.mocked(getBuild);

const entry = (number: number) => ({ ...step(number, { ok: true }), stdout: 'the end\n', stderr: '' });
const looked = (change: Partial<Build> = {}): Build => ({ ...build(), logs: [entry(1)], ...change });
const gone = () => Promise.reject(new ApiError('unreachable', 'The server cannot be reached.', 0));
const event = (name: string, data: unknown) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
/** A stream that says this, and stays open. */
const stream = (text: string) =>
	new ReadableStream<Uint8Array>({
		start: (controller) => controller.enqueue(new TextEncoder().encode(text))
	});

beforeEach(() => {
	vi.useFakeTimers();
	const listeners = { addEventListener: () => undefined, removeEventListener: () => undefined };
	vi.stubGlobal('document', { visibilityState: 'visible', ...listeners });
	vi.stubGlobal('requestAnimationFrame', (draw: () => void) => setTimeout(draw, 16));
	vi.stubGlobal('cancelAnimationFrame', (frame: ReturnType<typeof setTimeout>) =>
		clearTimeout(frame)
	);
	// Half of the possible waits before a next try.
	vi.spyOn(Math, 'random').mockReturnValue(0.5);
	follow.mockReset().mockImplementation(gone);
	look.mockReset().mockImplementation(() => Promise.resolve(looked()));
});
afterEach(() => {
	vi.restoreAllMocks();
	vi.unstubAllGlobals();
	vi.useRealTimers();
});

function watch() {
	const view = new BuildView('team', 'build-1');
	return { view, release: view.watch() };
}

it('looks at the build every three seconds while no stream can be had', async () => {
	const { view, release } = watch();
	await vi.advanceTimersByTimeAsync(0);
	expect(view.connection.kind).toBe('lost');
	expect(look).not.toHaveBeenCalled();

	await vi.advanceTimersByTimeAsync(500);
	expect(view.connection.kind).toBe('looking');
	expect(view.log.build?.status).toBe('running');
	expect(view.log.steps[0]?.output.pieces[0]?.text).toBe('the end\n');
	await vi.advanceTimersByTimeAsync(9_000);
	expect(look).toHaveBeenCalledTimes(4);
	expect(look).toHaveBeenLastCalledWith('team', 'build-1', expect.anything());
	release();
	await vi.advanceTimersByTimeAsync(9_000);
	expect(look).toHaveBeenCalledTimes(4);
});

it('asks no more when the build has ended, and still wants the rest of its log', async () => {
	const { view, release } = watch();
	await vi.advanceTimersByTimeAsync(500);
	look.mockImplementation(() => Promise.resolve(looked({ status: 'success' })));
	await vi.advanceTimersByTimeAsync(3_000);
	expect(view.log.build?.status).toBe('success');
	expect(view.connection.kind).toBe('lost');
	const [looks, tries] = [look.mock.calls.length, follow.mock.calls.length];
	await vi.advanceTimersByTimeAsync(60_000);
	expect(look).toHaveBeenCalledTimes(looks);
	expect(follow.mock.calls.length).toBeGreaterThan(tries);
	expect(view.log.build?.status).toBe('success');
	release();
});

it('follows the stream alone once it is there', async () => {
	const { view, release } = watch();
	await vi.advanceTimersByTimeAsync(500);
	expect(view.connection.kind).toBe('looking');
	follow.mockImplementation(() =>
		Promise.resolve(stream(event('build', build({ current_step: 2 })) + event('step', step(1))))
	);
	await vi.advanceTimersByTimeAsync(2_000);
	expect(view.connection.kind).toBe('live');
	expect(view.log.build?.current_step).toBe(2);
	expect(view.log.steps[0]?.output.pieces).toEqual([]);
	const looks = look.mock.calls.length;
	await vi.advanceTimersByTimeAsync(9_000);
	expect(look).toHaveBeenCalledTimes(looks);
	release();
});

it('says why nothing is shown while neither the stream nor the build can be had', async () => {
	look.mockImplementation(gone);
	const { view, release } = watch();
	await vi.advanceTimersByTimeAsync(4_000);
	expect(view.log.build).toBeNull();
	expect(view.connection).toEqual({ kind: 'lost', reason: 'The server cannot be reached.' });
	expect(view.error?.message).toBe('The server cannot be reached.');

	look.mockImplementation(() => Promise.resolve(looked()));
	await vi.advanceTimersByTimeAsync(9_000);
	expect(view.log.build?.status).toBe('running');
	expect(view.error).toBeNull();
	release();
});
