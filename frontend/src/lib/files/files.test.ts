import { describe, expect, it, vi } from 'vitest';
import { ApiError } from '../api/errors';
import { pour, type Target } from './download';
import { formatMode, kindText, sortEntries, type Entry } from './entries';
import { baseName, crumbs, join, nameProblem, normalize, parent } from './paths';
import { readText } from './preview-text';
import { TransferQueue, type TransferTask } from './transfers.svelte';

describe('paths', () => {
	it('are joined as a shell would', () => {
		expect(join('/home/user', 'a b.txt')).toBe('/home/user/a b.txt');
		expect(join('/', 'etc')).toBe('/etc');
		expect(join('/home', '/etc//passwd')).toBe('/etc/passwd');
		expect(join('/home/user', '../other/./x')).toBe('/home/other/x');
		expect(normalize('/../..')).toBe('/');
	});

	it('have parents, names and crumbs', () => {
		expect(parent('/a/b/')).toBe('/a');
		expect(parent('/')).toBe('/');
		expect(baseName('/a/b/')).toBe('b');
		expect(baseName('/')).toBe('/');
		expect(crumbs('/')).toEqual([{ name: '/', path: '/' }]);
		expect(crumbs('/var//log')).toEqual([
			{ name: '/', path: '/' },
			{ name: 'var', path: '/var' },
			{ name: 'log', path: '/var/log' }
		]);
	});

	it('are refused where they cannot be', () => {
		expect(nameProblem('ü'.repeat(127))).toBeNull();
		for (const name of ['', ' ', '.', '..', 'a\0b', 'ü'.repeat(128)]) {
			expect(nameProblem(name)).not.toBeNull();
		}
	});
});

function entry(name: string, change: Partial<Entry> = {}): Entry {
	const path = `/x/${name}`;
	const rest = { size: 1, mode: 0o644, permissions: '-rw-r--r--', owner: 'root', group: 'root' };
	return {
		id: path,
		name,
		path,
		type: 'file',
		modified_at: 1,
		symlink_target: null,
		...rest,
		...change
	};
}

describe('entries', () => {
	it('are sorted with folders first and numbers as numbers', () => {
		const entries = [entry('b10'), entry('b9', { size: 5 }), entry('z', { type: 'directory' })];
		const names = (key: 'name' | 'size', isDescending: boolean) =>
			sortEntries(entries, { key, isDescending }).map(({ name }) => name);
		expect(names('name', false)).toEqual(['z', 'b9', 'b10']);
		expect(names('name', true)).toEqual(['z', 'b10', 'b9']);
		expect(names('size', true)).toEqual(['z', 'b9', 'b10']);
	});

	it('say what they are', () => {
		expect(kindText(entry('a'))).toBeNull();
		expect(kindText(entry('a', { special: 'char_device' }))).toBe('device');
		expect(kindText(entry('a', { type: 'symlink', symlink_target: '/b' }))).toBe('→ /b');
		expect(formatMode(0o755)).toBe('0755');
		expect(formatMode(0o4755)).toBe('4755');
	});
});

function bodyOf(...chunks: Uint8Array<ArrayBuffer>[]): ReadableStream<Uint8Array<ArrayBuffer>> {
	return new ReadableStream({
		start(controller) {
			for (const chunk of chunks) controller.enqueue(chunk);
			controller.close();
		}
	});
}

describe('the text of a file', () => {
	const utf8 = (text: string) => new TextEncoder().encode(text);

	it('is shown if it is text', async () => {
		const bytes = utf8('größe\n');
		const body = bodyOf(bytes.slice(0, 3), bytes.slice(3));
		expect(await readText(body)).toEqual({ kind: 'text', text: 'größe\n', isCut: false });
		expect(await readText(bodyOf())).toEqual({ kind: 'text', text: '', isCut: false });
	});

	it('is not shown if it is none', async () => {
		expect(await readText(bodyOf(Uint8Array.of(65, 0)))).toMatchObject({ kind: 'binary' });
		expect(await readText(bodyOf(Uint8Array.of(0xff, 65)))).toMatchObject({ kind: 'binary' });
	});

	it('is cut where it gets long, even within a letter', async () => {
		const long = utf8('ü'.repeat(300_000));
		const read = await readText(bodyOf(utf8('x'), long));
		expect(read).toMatchObject({ kind: 'text', isCut: true });
		expect(read.kind === 'text' && read.text.length).toBe(262_144);
	});
});

describe('a download', () => {
	function target() {
		const calls: string[] = [];
		const note = (what: string) => () => {
			calls.push(what);
			return Promise.resolve();
		};
		const made: Target = { write: note('write'), finish: note('finish'), discard: note('discard') };
		return { made, calls };
	}

	it('is finished when all of it is there', async () => {
		const { made, calls } = target();
		const progress: number[] = [];
		await pour(bodyOf(new Uint8Array(3), new Uint8Array(4)), made, (bytes) => progress.push(bytes));
		expect(calls).toEqual(['write', 'write', 'finish']);
		expect(progress).toEqual([3, 7]);
	});

	it('is thrown away when it breaks off', async () => {
		const { made, calls } = target();
		const broken = new ReadableStream<Uint8Array<ArrayBuffer>>({
			pull: (controller) => controller.error(new TypeError('cut'))
		});
		await expect(pour(broken, made, () => undefined)).rejects.toThrow('cut');
		expect(calls).toEqual(['discard']);
	});
});

describe('the queue of transfers', () => {
	/** A task that ends when the test says so. */
	function task(path: string) {
		const control: { isStarted: boolean; finish: () => void; fail: (error: unknown) => void } = {
			isStarted: false,
			finish: () => undefined,
			fail: () => undefined
		};
		const made: TransferTask = {
			kind: 'upload',
			path,
			totalBytes: 10,
			run: (signal, onProgress) =>
				new Promise((resolve, reject) => {
					control.isStarted = true;
					onProgress(5);
					control.finish = resolve;
					control.fail = reject;
					signal.addEventListener('abort', () =>
						reject(new DOMException('cancelled', 'AbortError'))
					);
				})
		};
		return { made, control };
	}
	const states = (queue: TransferQueue) => queue.items.map(({ state }) => state.kind);
	const settled = (queue: TransferQueue, expected: string[]) =>
		vi.waitFor(() => expect(states(queue)).toEqual(expected));

	it('runs two at a time, in order, and tells when one has arrived', async () => {
		const arrived: string[] = [];
		const queue = new TransferQueue(({ path }) => arrived.push(path));
		const [a, b, c] = [task('a'), task('b'), task('c')];
		queue.add(a.made, b.made, c.made);
		expect(states(queue)).toEqual(['running', 'running', 'queued']);
		expect(queue.items[0]?.doneBytes).toBe(5);
		b.control.finish();
		await settled(queue, ['running', 'done', 'running']);
		a.control.finish();
		c.control.finish();
		await settled(queue, ['done', 'done', 'done']);
		expect(arrived).toEqual(['b', 'a', 'c']);
		expect(queue.isBusy).toBe(false);
		queue.clear();
		expect(queue.items).toEqual([]);
	});

	it('cancels what runs and what waits, and goes on with the rest', async () => {
		const queue = new TransferQueue();
		const [a, b, c, d] = [task('a'), task('b'), task('c'), task('d')];
		queue.add(a.made, b.made, c.made, d.made);
		queue.cancel(queue.items[2]!);
		queue.cancel(queue.items[0]!);
		await settled(queue, ['cancelled', 'running', 'cancelled', 'running']);
		expect(c.control.isStarted).toBe(false);
		queue.close();
		await settled(queue, ['cancelled', 'cancelled', 'cancelled', 'cancelled']);
	});

	it('says why one failed, and tries it again', async () => {
		const queue = new TransferQueue();
		const one = task('one');
		queue.add(one.made);
		one.control.fail(new ApiError('invalid_state', 'the disk is full', 409));
		await settled(queue, ['failed']);
		expect(queue.items[0]?.state).toEqual({ kind: 'failed', message: 'the disk is full' });
		queue.retry(queue.items[0]!);
		expect(states(queue)).toEqual(['running']);
		one.control.finish();
		await settled(queue, ['done']);
	});
});
