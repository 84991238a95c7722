/** Which capsules the list shows, and in which order: a part of its address, so that it can be kept and sent. */
import type { Capsule, CapsuleStatus } from '../api/types';

export const SORT_KEYS = ['status', 'id', 'template', 'size', 'maker', 'age', 'idle'] as const;
export type SortKey = (typeof SORT_KEYS)[number];

export const STATUSES: readonly CapsuleStatus[] = [
	'pending',
	'starting',
	'running',
	'paused',
	'hibernated',
	'stopped',
	'missing',
	'error'
];

export interface ListQuery {
	/** Part of an id, a template's name or a maker's. */
	text: string;
	status: CapsuleStatus | null;
	sort: SortKey;
	isDescending: boolean;
	/** From 1. */
	page: number;
}

/** More rows at once would make the page slow. */
export const PAGE_SIZE = 50;

const DEFAULT: ListQuery = { text: '', status: null, sort: 'age', isDescending: false, page: 1 };

/** Reads an address; parts that are missing or not understood get their defaults. */
export function readListQuery(params: URLSearchParams): ListQuery {
	const sort = params.get('sort') ?? '';
	const isDescending = sort.startsWith('-');
	const key = SORT_KEYS.find((one) => one === (isDescending ? sort.slice(1) : sort));
	return {
		text: params.get('q') ?? DEFAULT.text,
		status: STATUSES.find((one) => one === params.get('status')) ?? null,
		sort: key ?? DEFAULT.sort,
		isDescending: key ? isDescending : DEFAULT.isDescending,
		page: Math.max(1, Math.floor(Number(params.get('page'))) || 1)
	};
}

/** The part of an address behind its path; empty for the list as usual. */
export function listSearch({ text, status, sort, isDescending, page }: ListQuery): string {
	const params = new URLSearchParams();
	if (text !== '') params.set('q', text);
	if (status !== null) params.set('status', status);
	if (sort !== DEFAULT.sort || isDescending)
		params.set('sort', `${isDescending ? '-' : ''}${sort}`);
	if (page > 1) params.set('page', String(page));
	const search = params.toString();
	return search === '' ? '' : `?${search}`;
}

/** The query with another column to sort by, or with the other direction of the present one. */
export function sortedBy(query: ListQuery, sort: SortKey): ListQuery {
	const isDescending = sort === query.sort && !query.isDescending;
	return { ...query, sort, isDescending, page: 1 };
}

/** Returns the wanted capsules, sorted. Equal ones stay in the order in which they come. */
export function applyListQuery(items: readonly Capsule[], query: ListQuery): Capsule[] {
	const text = query.text.trim().toLowerCase();
	const wanted = items.filter(
		(capsule) =>
			(query.status === null || capsule.status === query.status) &&
			(text === '' || namesOf(capsule).some((name) => name.toLowerCase().includes(text)))
	);
	const compare = ORDERS[query.sort];
	const sign = query.isDescending ? -1 : 1;
	return wanted.sort((a, b) => sign * compare(a, b));
}

/** The rows of one page, and which page that is where there are fewer. */
export function pageOf<T>(items: readonly T[], page: number): { rows: readonly T[]; page: number } {
	const last = Math.max(1, Math.ceil(items.length / PAGE_SIZE));
	const shown = Math.min(page, last);
	return { rows: items.slice((shown - 1) * PAGE_SIZE, shown * PAGE_SIZE), page: shown };
}

/** The name of whoever made it; empty if it is not known. */
export function makerName({ created_by }: Capsule): string {
	return created_by?.name ?? created_by?.id ?? '';
}

function namesOf(capsule: Capsule): string[] {
	return [capsule.id, capsule.template, makerName(capsule)];
}

const byText = (text: (capsule: Capsule) => string) => (a: Capsule, b: Capsule) =>
	text(a).localeCompare(text(b));
/** The shortest time since then first; what never was comes last. */
const bySince = (at: (capsule: Capsule) => string | null) => (a: Capsule, b: Capsule) =>
	(at(b) ?? '').localeCompare(at(a) ?? '');

const ORDERS: Record<SortKey, (a: Capsule, b: Capsule) => number> = {
	status: (a, b) => STATUSES.indexOf(a.status) - STATUSES.indexOf(b.status),
	id: byText(({ id }) => id),
	template: byText(({ template }) => template),
	size: (a, b) => a.vcpus - b.vcpus || a.memory_mb - b.memory_mb || a.disk_size_mb - b.disk_size_mb,
	maker: byText(makerName),
	age: bySince(({ created_at }) => created_at),
	idle: bySince(({ last_active_at }) => last_active_at)
};
