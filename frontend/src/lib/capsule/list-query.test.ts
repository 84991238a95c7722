import { describe, expect, it } from 'vitest';
import {
	applyListQuery,
	listSearch,
	PAGE_SIZE,
	pageOf,
	readListQuery,
	sortedBy,
	type ListQuery
} from './list-query';
import { capsule } from './testing';

const read = (search: string) => readListQuery(new URLSearchParams(search));
const usual = read('');

describe('the address of the list', () => {
	it('says nothing of the list as usual', () => {
		expect(usual).toEqual({ text: '', status: null, sort: 'age', isDescending: false, page: 1 });
		expect(listSearch(usual)).toBe('');
	});

	it('carries what is wanted there and back', () => {
		const query: ListQuery = {
			text: 'a b&c',
			status: 'paused',
			sort: 'idle',
			isDescending: true,
			page: 3
		};
		expect(read(listSearch(query))).toEqual(query);
		const oldest = { ...usual, isDescending: true };
		expect(listSearch(oldest)).toBe('?sort=-age');
		expect(read('?sort=-age')).toEqual(oldest);
	});

	it('is read as usual where it makes no sense', () => {
		expect(read('?status=happy&sort=-colour&page=-2&more=1')).toEqual(usual);
		expect(read('?page=x').page).toBe(1);
	});
});

it('a column is sorted the other way round when it is chosen again', () => {
	const once = sortedBy({ ...usual, page: 4 }, 'template');
	expect(once).toMatchObject({ sort: 'template', isDescending: false, page: 1 });
	expect(sortedBy(once, 'template').isDescending).toBe(true);
	expect(sortedBy(sortedBy(once, 'template'), 'size').isDescending).toBe(false);
});

describe('applyListQuery', () => {
	const cara = { type: 'user', id: 'usr-1', name: 'Cara' } as const;
	const items = [
		capsule({ id: 'cl-a', created_at: '2026-01-03T00:00:00Z', memory_mb: 2048 }),
		capsule({
			id: 'cl-b',
			created_at: '2026-01-02T00:00:00Z',
			template: 'python',
			status: 'paused',
			last_active_at: '2026-01-05T00:00:00Z'
		}),
		capsule({
			id: 'cl-c',
			created_at: '2026-01-01T00:00:00Z',
			vcpus: 2,
			created_by: cara,
			last_active_at: '2026-01-04T00:00:00Z'
		})
	];
	const ids = (change: Partial<ListQuery>) =>
		applyListQuery(items, { ...usual, ...change }).map(({ id }) => id);

	it('finds by id, template and maker', () => {
		expect(ids({ text: ' CL-A ' })).toEqual(['cl-a']);
		expect(ids({ text: 'pyth' })).toEqual(['cl-b']);
		expect(ids({ text: 'cara' })).toEqual(['cl-c']);
		expect(ids({ text: 'cl', status: 'running' })).toEqual(['cl-a', 'cl-c']);
		expect(ids({ text: 'cara', status: 'paused' })).toEqual([]);
	});

	it('sorts by every column, both ways', () => {
		expect(ids({})).toEqual(['cl-a', 'cl-b', 'cl-c']);
		expect(ids({ isDescending: true })).toEqual(['cl-c', 'cl-b', 'cl-a']);
		expect(ids({ sort: 'status' })).toEqual(['cl-a', 'cl-c', 'cl-b']);
		expect(ids({ sort: 'id', isDescending: true })).toEqual(['cl-c', 'cl-b', 'cl-a']);
		expect(ids({ sort: 'template' })).toEqual(['cl-a', 'cl-c', 'cl-b']);
		expect(ids({ sort: 'size' })).toEqual(['cl-b', 'cl-a', 'cl-c']);
		expect(ids({ sort: 'maker', isDescending: true })).toEqual(['cl-c', 'cl-a', 'cl-b']);
	});

	it('puts what was used last first, and what never was used last', () => {
		expect(ids({ sort: 'idle' })).toEqual(['cl-b', 'cl-c', 'cl-a']);
	});

	it('leaves the list itself as it is', () => {
		ids({ isDescending: true });
		expect(items.map(({ id }) => id)).toEqual(['cl-a', 'cl-b', 'cl-c']);
	});
});

it('pageOf shows the last page where there are not so many', () => {
	const items = Array.from({ length: PAGE_SIZE + 1 }, (_, at) => at);
	expect(pageOf(items, 1).rows).toHaveLength(PAGE_SIZE);
	expect(pageOf(items, 2)).toEqual({ rows: [PAGE_SIZE], page: 2 });
	expect(pageOf(items, 9)).toEqual({ rows: [PAGE_SIZE], page: 2 });
	expect(pageOf([], 3)).toEqual({ rows: [], page: 1 });
});
