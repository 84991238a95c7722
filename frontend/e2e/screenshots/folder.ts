/** The folder of the pictures, and what a picture in it is called. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const STATES = ['filled', 'empty', 'loading', 'error'] as const;
export type State = (typeof STATES)[number];

/** Widths of a desk and of a phone. */
export const WIDTHS = [1440, 390] as const;
export type Width = (typeof WIDTHS)[number];

export function picturesFolder(): string {
	return process.env.WRENN_SCREENSHOTS ?? join(tmpdir(), 'wrenn-screenshots');
}

/** @param view a state of the page, or a dialog that is open on it */
export function pictureName(page: string, view: string, width: Width): string {
	return `${page}.${view.replaceAll(' ', '-')}.${width}.png`;
}

/** The parts of a picture's name; null for another file. */
export function partsOf(file: string): { page: string; view: string; width: number } | null {
	const [, page, view, width] = /^(.+)\.([^.]+)\.(\d+)\.png$/.exec(file) ?? [];
	return page && view && width ? { page, view, width: Number(width) } : null;
}
