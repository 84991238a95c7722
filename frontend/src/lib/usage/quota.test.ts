import { expect, it } from 'vitest';
import { levelOf, quotaLines, shareOf } from './quota';

it('marks what is near its limit, at it, and above it', () => {
	expect(levelOf({ used: 500, limit: null })).toBe('fine');
	expect(levelOf({ used: 7, limit: 10 })).toBe('fine');
	expect(levelOf({ used: 8, limit: 10 })).toBe('near');
	expect(levelOf({ used: 10, limit: 10 })).toBe('full');
	expect(levelOf({ used: 11, limit: 10 })).toBe('over');
	expect(levelOf({ used: 0, limit: 0 })).toBe('full');
});

it('draws no more than the whole bar', () => {
	expect(shareOf({ used: 5, limit: 10 })).toBe(0.5);
	expect(shareOf({ used: 20, limit: 10 })).toBe(1);
	expect(shareOf({ used: 20, limit: null })).toBe(0);
});

it('writes memory and disks as sizes', () => {
	const none = { used: 0, limit: null };
	const lines = quotaLines({
		running_capsules: { used: 1, limit: 4 },
		vcpus: none,
		memory_mb: { used: 512, limit: 2048 },
		disk_mb: none,
		templates: none,
		paused_capsules: none,
		concurrent_builds: none
	});
	const text = (name: string) => lines.find((line) => line.name === name)?.text;
	expect(text('running_capsules')).toBe('1 of 4');
	expect(text('memory_mb')).toBe('512 MB of 2 GB');
	expect(text('disk_mb')).toBe('0 MB');
});
