/** The forms that can be opened from everywhere, one at a time. */

export type ShellDialog = 'capsule' | 'key' | 'team';

class Dialogs {
	#current = $state<ShellDialog | null>(null);

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
