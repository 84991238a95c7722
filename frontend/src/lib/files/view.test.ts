import { beforeEach, expect, it, vi } from 'vitest';
import { ApiError } from '../api/errors';
import type { FileEntry } from '../api/types';
import * as service from './service';
import { FileView } from './view.svelte';

vi.mock('./service');
const { resolveLink, statEntry, streamFile, writeText } = vi.mocked(service);

function entry(name: string, change: Partial<FileEntry> = {}): FileEntry {
	return {
		name,
		path: `/x/${name}`,
		type: 'file',
		size: 4,
		mode: 0o644,
		permissions: '-rw-r--r--',
		owner: 'root',
		group: 'root',
		modified_at: 1,
		symlink_target: null,
		...change
	};
}

const streamOf = (text: string) => new Blob([text]).stream();
const shown = (view: FileView) => (view.content.kind === 'text' ? view.content.text : null);

beforeEach(() => {
	vi.resetAllMocks();
	resolveLink.mockImplementation((_, path) => Promise.resolve(entry(path.slice(3))));
	statEntry.mockImplementation((_, path) => Promise.resolve(entry(path.slice(3))));
	streamFile.mockImplementation((_, path) => Promise.resolve(streamOf(`in ${path}`)));
	writeText.mockResolvedValue();
});

async function edited(text: string): Promise<FileView> {
	streamFile.mockResolvedValue(streamOf('one\r\n'));
	const view = new FileView('cl-1');
	view.show(entry('a'), '');
	await vi.waitFor(() => expect(view.content.kind).toBe('text'));
	view.edit();
	expect(view.draft).toBe('one\n');
	view.draft = text;
	return view;
}

it('shows what was chosen last, whatever comes when', async () => {
	const late: (() => void)[] = [];
	streamFile.mockImplementation(async (_, path) => {
		if (path === '/x/a') await new Promise<void>((pass) => late.push(pass));
		return streamOf(`in ${path}`);
	});
	const view = new FileView('cl-1');
	view.show(entry('a'), '');
	await vi.waitFor(() => expect(late).toHaveLength(1));
	view.show(entry('b'), '');
	await vi.waitFor(() => expect(shown(view)).toBe('in /x/b'));
	late[0]?.();
	await new Promise((pass) => setTimeout(pass, 10));
	expect(shown(view)).toBe('in /x/b');
	expect(view.entry?.name).toBe('b');
});

it('reads nothing of what has no content, and of what is too large', async () => {
	const view = new FileView('cl-1');
	view.show(entry('d', { type: 'directory' }), '');
	view.show(entry('p', { special: 'fifo' }), '');
	expect(view.content.kind).toBe('none');
	resolveLink.mockResolvedValue(entry('large', { size: 11_000_000 }));
	view.show(entry('large'), '');
	await vi.waitFor(() => expect(view.content.kind).toBe('large'));
	expect(streamFile).not.toHaveBeenCalled();
});

it('says why it cannot be read', async () => {
	resolveLink.mockRejectedValue(new ApiError('forbidden', 'no', 403));
	const view = new FileView('cl-1');
	view.show(entry('a'), '');
	await vi.waitFor(() => expect(view.content.kind).toBe('error'));
});

it('saves what was typed, with the ends of lines that were there', async () => {
	const view = await edited('one\ntwo\n');
	expect(view.isDirty).toBe(true);
	expect(await view.save()).toBe('saved');
	expect(writeText).toHaveBeenCalledWith('cl-1', '/x/a', '', 'one\r\ntwo\r\n');
	expect(view.draft).toBeNull();
	expect(shown(view)).toBe('one\r\ntwo\r\n');
});

it('does not write over what others wrote, unless that is meant', async () => {
	const view = await edited('two\n');
	statEntry.mockResolvedValue(entry('a', { modified_at: 2 }));
	expect(await view.save()).toBe('changed');
	statEntry.mockRejectedValueOnce(new ApiError('not_found', 'gone', 404));
	expect(await view.save()).toBe('changed');
	expect(view.isStale).toBe(true);
	expect(writeText).not.toHaveBeenCalled();
	expect(await view.save(true)).toBe('saved');
	expect(view.isStale).toBe(false);
});

it('keeps what was typed when it cannot be saved', async () => {
	const view = await edited('two\n');
	writeText.mockRejectedValue(new ApiError('forbidden', 'read only', 403));
	expect(await view.save()).toBe('failed');
	expect(view.saveError?.message).toBe('read only');
	expect(view.draft).toBe('two\n');
	expect(view.isDirty).toBe(true);
});

it('reads it again when it changes, and only says so while it is edited', async () => {
	vi.useFakeTimers();
	try {
		streamFile.mockResolvedValueOnce(streamOf('one')).mockResolvedValueOnce(streamOf('two'));
		const view = new FileView('cl-1');
		view.show(entry('a'), '');
		await vi.waitFor(() => expect(shown(view)).toBe('one'));
		view.noteChange('/x/other');
		view.noteChange('/x/a');
		await vi.advanceTimersByTimeAsync(2_000);
		expect(shown(view)).toBe('two');
		view.edit();
		statEntry.mockResolvedValue(entry('a', { size: 9 }));
		view.noteChange('/x/a');
		await vi.advanceTimersByTimeAsync(2_000);
		expect(view.isStale).toBe(true);
		expect(shown(view)).toBe('two');
	} finally {
		vi.useRealTimers();
	}
});
