import { expect, it } from 'vitest';
import { crumbsOf } from './crumbs';

it('names the parts of an address, with links to all but the last', () => {
	expect(crumbsOf('/dashboard/capsules/cl-1/files')).toEqual([
		{ text: 'Capsules', href: '/dashboard/capsules', isId: false },
		{ text: 'cl-1', href: '/dashboard/capsules/cl-1', isId: true },
		{ text: 'Files', href: null, isId: false }
	]);
});

it('begins with the administration where that is', () => {
	expect(crumbsOf('/admin/templates').map(({ text }) => text)).toEqual([
		'Administration',
		'Templates'
	]);
});

it('shows an odd name as it is', () => {
	expect(crumbsOf('/dashboard/templates/a%20b').at(-1)).toEqual({
		text: 'a b',
		href: null,
		isId: true
	});
});
