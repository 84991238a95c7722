/** The forms that can be opened from everywhere, one at a time. */

import { events } from '../events';

export type ShellDialog = 'capsule' | 'key' | 'team';

class Dialogs {
	#current = $state<ShellDialog | null>(null);

	constructor() {
		events.on('session:changed', () => this.close());
	}

	get current(): ShellDialog | null {
		return this.#current;
	}

	ask(dialog: ShellDialog): void {
		this.#current = dialog;
	}

	close(): void {
		this.#current = null;
	}
}

export const dialogs = new Dialogs();
