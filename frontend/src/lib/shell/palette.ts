/** The actions that are offered on every page. */
import { goto } from '$app/navigation';
import { resolve } from '$app/paths';
import { denial, type OperationId, type Principal } from '../session/principal.svelte';
import { texts } from '../texts';
import { dialogs } from './dialogs.svelte';

export interface PaletteAction {
	id: string;
	text: string;
	/** Why it cannot be done; null if it can. */
	obstacle: string | null;
	run: () => void;
}

const words = texts.shell.palette;

export function paletteActions(principal: Principal): readonly PaletteAction[] {
	const action = (operation: OperationId, text: string, run: () => void): PaletteAction => ({
		id: operation,
		text,
		obstacle: denial(principal, operation),
		run
	});
	return [
		action('create_capsule', words.createCapsule, () => dialogs.ask('capsule')),
		action('create_team_build', words.newBuild, () => {
			void goto(resolve('/dashboard/templates/builds/new'));
		}),
		action('create_api_key', words.createKey, () => dialogs.ask('key')),
		action('create_team', words.createTeam, () => dialogs.ask('team'))
	];
}
