import { expect, it } from 'vitest';
import { isNewest, newest } from './find';

it('takes only the plain list for the newest', () => {
	const query = newest<'admins', 'name'>();
	expect(isNewest(query)).toBe(true);
	expect(isNewest({ ...query, text: ' ' })).toBe(true);
	expect(isNewest({ ...query, text: 'a' })).toBe(false);
	expect(isNewest({ ...query, kind: 'admins' })).toBe(false);
	expect(isNewest({ ...query, order: { key: 'name', isDescending: false } })).toBe(false);
	expect(isNewest({ ...query, order: { key: 'created', isDescending: true } })).toBe(false);
});
