/** The colours of the parts of a recipe; each instruction has one of its own. */
import type { TokenKind } from './recipe-tokens';

export const RECIPE_COLORS: Readonly<Record<TokenKind, string>> = {
	RUN: 'text-buff',
	START: 'text-live',
	ENV: 'text-asleep',
	WORKDIR: 'text-moving',
	USER: 'text-lost',
	COPY: 'text-[oklch(0.79_0.1_350)]',
	comment: 'text-faint',
	option: 'text-soft',
	string: 'text-[oklch(0.86_0.05_130)]',
	variable: 'text-[oklch(0.86_0.05_260)]',
	continuation: 'text-faint',
	plain: ''
};
