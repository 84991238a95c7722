import { expect, it } from 'vitest';
import { movedTo } from './moved';

const moved = (path: string) => movedTo(new URL(path, 'https://wrenn.test'));

it.each([
	['/dashboard', '/dashboard/capsules/list'],
	['/dashboard/', '/dashboard/capsules/list'],
	['/dashboard/capsules', '/dashboard/capsules/list'],
	['/dashboard/members', '/dashboard/team'],
	['/dashboard/snapshots', '/dashboard/templates'],
	['/admin', '/admin/templates'],
	['/capsules', '/dashboard/capsules/list'],
	['/capsules/cl-1', '/dashboard/capsules/cl-1'],
	['/capsules/cl-1/files?path=%2Ftmp', '/dashboard/capsules/cl-1/files?path=%2Ftmp'],
	['/templates', '/dashboard/templates'],
	['/templates/all', '/admin/templates'],
	['/builds', '/admin/templates/builds'],
	['/builds/new?from=bld-1', '/admin/templates/builds/new?from=bld-1'],
	['/keys', '/dashboard/keys']
])('%s is at %s', (from, to) => {
	expect(moved(from)).toBe(to);
});

it('does not make up pages', () => {
	for (const path of ['/', '/capsule', '/capsules/cl-1/nothing', '/dashboard/nothing', '/keys/1']) {
		expect(moved(path)).toBeNull();
	}
});
