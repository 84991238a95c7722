/**
 * Every page of the dashboard, as it is pictured: its address, who looks at it, which states it has, and its dialogs. A page
 * that is added to `src/routes` belongs here, too; `unpictured` tells which are not.
 */
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Page } from '@playwright/test';
import type { State } from './folder';
import { ADMIN_PAGES } from './pages-admin';
import { AUTH_PAGES } from './pages-auth';
import { TEAM_PAGES } from './pages-team';
import type { World } from './world';

/** The user who looks at a page. */
export type Viewer = 'nobody' | 'owner' | 'newcomer' | 'bringer' | 'administrator';

/** Something that opens over a page. */
export interface Overlay {
	name: string;
	/** Opened only on a phone, or only on a desk. */
	only?: 'phone' | 'desk';
	/** Does what opens it. */
	open: (page: Page, world: World) => Promise<void>;
}

export interface Picture {
	/** The folder below `src/routes`. */
	route: string;
	/** The first part of the names of its files. */
	name: string;
	path: (world: World) => string;
	viewer: Viewer;
	/** All of them unless it is said; a page that asks for nothing has no other than `filled`. */
	states?: readonly State[];
	/** The address in the state `empty`, where that of the newcomer is not the same page without anything. */
	emptyPath?: (world: World) => string;
	/** True if its lists are emptied on their way, because the server always has something in them. */
	isEmptied?: boolean;
	/** Requests that are answered in the states `loading` and `error`, too: what the page stands in. */
	letThrough?: RegExp;
	/** Does what brings a page to its state `filled`, and waits for it. */
	fill?: (page: Page, world: World) => Promise<void>;
	overlays?: readonly Overlay[];
}

export const PICTURES: readonly Picture[] = [...AUTH_PAGES, ...TEAM_PAGES, ...ADMIN_PAGES];

/** The routes below `folder` that have a page, and that no picture shows. */
export function unpictured(folder: string, pictures: readonly Picture[] = PICTURES): string[] {
	const pictured = new Set(pictures.map(({ route }) => route));
	return readdirSync(folder, { recursive: true, withFileTypes: true })
		.filter(({ name }) => name === '+page.svelte')
		.map(({ parentPath }) => `/${relative(folder, parentPath)}`)
		.filter((route) => !pictured.has(route))
		.sort();
}

export const ROUTES = join(import.meta.dirname, '../../src/routes');
