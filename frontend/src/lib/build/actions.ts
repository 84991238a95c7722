/** Actions that are possible with a build now, and the reasons why others are not. */
import CircleX from '@lucide/svelte/icons/circle-x';
import Copy from '@lucide/svelte/icons/copy';
import RotateCcw from '@lucide/svelte/icons/rotate-ccw';
import { goto } from '$app/navigation';
import type { BuildHead } from '../api/types';
import type { Action } from '../components/action';
import { denial, type Principal } from '../session/principal.svelte';
import { texts } from '../texts';
import { pages } from './paths';
import { OPERATIONS, type BuildScope } from './scope';
import { copyRecipe } from './service';
import { isOpen } from './status';

const words = texts.build;

/** @param onCancel asks before it is cancelled */
export function getBuildActions<T extends BuildHead>(
	principal: Principal,
	build: T,
	scope: BuildScope,
	onCancel: (build: T) => void
): Action[] {
	const { id, name, recipe } = build;
	return [
		{
			id: 'copy',
			text: words.copyRecipe,
			label: words.copyRecipeOf(name),
			icon: Copy,
			obstacle: recipe.length > 0 ? null : words.noRecipe,
			run: () => void copyRecipe(build)
		},
		// Both take turns in the same place: a build that goes on can be cancelled, one that has
		// ended started again.
		isOpen(build)
			? {
					id: 'cancel',
					text: words.cancel,
					label: words.cancelOf(name),
					icon: CircleX,
					obstacle: denial(principal, OPERATIONS[scope].cancel),
					look: 'danger',
					run: () => onCancel(build)
				}
			: {
					id: 'again',
					text: words.again,
					label: words.againOf(name),
					icon: RotateCcw,
					obstacle: denial(principal, OPERATIONS[scope].create),
					// eslint-disable-next-line svelte/no-navigation-without-resolve -- resolved by paths.ts
					run: () => void goto(pages[scope].again(id))
				}
	];
}
