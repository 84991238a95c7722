import { describe, expect, it, vi } from 'vitest';
import { ApiError } from '../api/errors';
import { pour, type Target } from './download';
import { formatMode, keepUnchanged, kindText, nameKey, sortEntries, type Entry } from './entries';
import { baseName, crumbs, join, nameProblem, normalize, parent } from './paths';
import { imageType, readText, shownText, SHOWN_LINES } from './content';
import { fromEdited, toEdited } from './line-endings';
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

	it('are compared without case and accents', () => {
		expect(nameKey('Ä2') < nameKey('b')).toBe(true);
		expect(nameKey('a10') > nameKey('A9')).toBe(true);
	});

	it('stay the same where nothing changed', () => {
		const before = [entry('a'), entry('b')];
		const now = () => before.map((one) => ({ ...one }));
		expect(keepUnchanged(before, now())).toBe(before);
		const [a, b] = keepUnchanged(before, [...now().slice(0, 1), { ...entry('b'), size: 2 }]);
		expect(a).toBe(before[0]);
		expect(b).toEqual({ ...before[1], size: 2 });
		expect(keepUnchanged(before, now().slice(1))).toEqual([before[1]]);
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

	it('is read if it is text', async () => {
		const bytes = utf8('größe\n');
		const body = () => bodyOf(bytes.slice(0, 3), bytes.slice(3));
		for (const isWhole of [true, false]) {
			expect(await readText(body(), isWhole)).toEqual({
				kind: 'text',
				text: 'größe\n',
				isCut: false
			});
		}
		expect(await readText(bodyOf(), true)).toEqual({ kind: 'text', text: '', isCut: false });
	});

	it('keeps the mark that it begins with', async () => {
		const body = bodyOf(Uint8Array.of(0xef, 0xbb, 0xbf, 65));
		expect(await readText(body, true)).toMatchObject({ text: '\ufeffA' });
	});

	it('is none with a NUL, or with what is no UTF-8', async () => {
		expect(await readText(bodyOf(Uint8Array.of(65, 0)), true)).toEqual({ kind: 'binary' });
		expect(await readText(bodyOf(Uint8Array.of(0xff, 65)), true)).toEqual({ kind: 'binary' });
	});

	it('is read no further than it is shown', async () => {
		let reads = 0;
		const lines = utf8('line\n'.repeat(1_000));
		const endless = new ReadableStream<Uint8Array>(
			{
				pull(controller) {
					reads += 1;
					controller.enqueue(lines);
				}
			},
			{ highWaterMark: 0 }
		);
		const read = await readText(endless, false);
		expect(read).toEqual({ kind: 'text', text: 'line\n'.repeat(SHOWN_LINES), isCut: true });
		expect(reads).toBe(6);
	});

	it('is cut within a letter where one line has no end', async () => {
		const letters = utf8('ü'.repeat(1_000_000));
		const read = await readText(bodyOf(utf8('x'), ...Array<typeof letters>(6).fill(letters)), true);
		expect(read).toMatchObject({ kind: 'text', isCut: true });
		expect(read.kind === 'text' && read.text.length).toBe(5 * 1024 * 1024);
	});

	it('is shown in blocks with the numbers of its lines', () => {
		const shown = shownText('a\r\nb\n\nc');
		expect(shown).toMatchObject({ lines: 4, hasMore: false, hasCutLines: false });
		expect(shown.blocks).toEqual([
			{ first: 1, count: 4, text: 'a\nb\n\nc', numbers: '1\n2\n3\n4' }
		]);
		expect(shownText('a\n').lines).toBe(1);
		const blocks = shownText('x\n'.repeat(250)).blocks;
		expect(blocks.map(({ first, count }) => [first, count])).toEqual([
			[1, 100],
			[101, 100],
			[201, 50]
		]);
	});

	it('is shown up to so many lines, and lines up to so many characters', () => {
		const full = 'x\n'.repeat(SHOWN_LINES);
		expect(shownText(full)).toMatchObject({ lines: SHOWN_LINES, hasMore: false });
		expect(shownText(`${full}y`)).toMatchObject({ lines: SHOWN_LINES, hasMore: true });
		expect(shownText(`${full}\n`)).toMatchObject({ lines: SHOWN_LINES, hasMore: true });
		const long = shownText('z'.repeat(6_000));
		expect(long.hasCutLines).toBe(true);
		expect(long.blocks[0]?.text).toBe(`${'z'.repeat(5_000)}…`);
	});
});

describe('images', () => {
	it('are known by their names', () => {
		expect(imageType('a.PNG')).toBe('image/png');
		expect(imageType('a.b.svg')).toBe('image/svg+xml');
		for (const name of ['png', 'a.txt', 'a.', '']) expect(imageType(name)).toBeNull();
	});
});

describe('ends of lines', () => {
	it('come back as they were when nothing is typed', () => {
		for (const text of ['a\r\nb\r\n', 'a\nb', 'a\r\nb\nc\r', '', '\r\n']) {
			expect(fromEdited(text, toEdited(text))).toBe(text);
		}
	});

	it('are those of the file in new lines, and stay in others', () => {
		expect(fromEdited('a\r\nb\r\n', 'a\nnew\nb\n')).toBe('a\r\nnew\r\nb\r\n');
		expect(fromEdited('a\r\nb\nc\r\nd\r\n', 'a\nb\nX\nd\n')).toBe('a\r\nb\nX\r\nd\r\n');
		expect(fromEdited('a\r\nb', 'a\nb\nc')).toBe('a\r\nb\r\nc');
		expect(fromEdited('a\nb\n', 'b\n')).toBe('b\n');
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
