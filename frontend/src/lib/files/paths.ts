/** Paths in a capsule: absolute, with slashes, whatever system the browser runs on. */
import { texts } from '../texts';

/** The path that `name` means in a folder; an absolute path means itself. */
export function join(folder: string, name: string): string {
	return normalize(name.startsWith('/') ? name : `${folder}/${name}`);
}

/** Without doubled slashes, `.` and `..`; as written, not as links lead. */
export function normalize(path: string): string {
	const parts: string[] = [];
	for (const part of path.split('/')) {
		if (part === '' || part === '.') continue;
		if (part === '..') parts.pop();
		else parts.push(part);
	}
	return `/${parts.join('/')}`;
}

export function parent(path: string): string {
	return normalize(`${path}/..`);
}

/** The last part; `/` of the root. */
export function baseName(path: string): string {
	return normalize(path).split('/').pop() || '/';
}

export interface Crumb {
	name: string;
	path: string;
}

/** The folders on the way from the root to `path`, both included. */
export function crumbs(path: string): Crumb[] {
	const all = [{ name: '/', path: '/' }];
	for (const name of normalize(path).split('/').slice(1)) {
		if (name !== '') all.push({ name, path: join(all.at(-1)?.path ?? '/', name) });
	}
	return all;
}

/** Why a file cannot have this name in a folder; null if it can. */
export function nameProblem(name: string): string | null {
	const problems = texts.files.nameProblems;
	if (name.trim() === '') return problems.empty;
	if (name === '.' || name === '..') return problems.reserved;
	if (name.includes('\0')) return problems.nul;
	if (new TextEncoder().encode(baseName(name)).length > 255) return problems.long;
	return null;
}
