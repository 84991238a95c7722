/**
 * Faults of a recipe and its healthcheck while they are written, as the server's own grammar tells them.
 *
 * A check that fails says nothing: the build itself is refused with the reason.
 */
import type { RecipeFaults } from '../api/types';
import { PausedQuestion } from '../polling/paused-question';
import { checkBuild } from './service';

/** A user who types a word does not want to hear of each letter. */
const PAUSE_MS = 500;

const NO_FAULTS: RecipeFaults = { recipe: [], healthcheck: null };

export class RecipeCheck {
	#faults = $state.raw<RecipeFaults>(NO_FAULTS);
	readonly #question = new PausedQuestion<RecipeFaults>(PAUSE_MS);

	/** The faults of the text that was checked last. */
	get faults(): RecipeFaults {
		return this.#faults;
	}

	/** Checks this text, after a pause; a check of an earlier text is given up. */
	look(recipe: string, healthcheck: string): void {
		this.close();
		if (recipe.trim() === '' && healthcheck.trim() === '') {
			this.#faults = NO_FAULTS;
			return;
		}
		this.#question.look(
			(signal) => checkBuild(recipe, healthcheck.trim(), signal),
			(faults) => (this.#faults = faults),
			() => (this.#faults = NO_FAULTS)
		);
	}

	/** Gives up the check that waits, or is on its way. */
	close(): void {
		this.#question.close();
	}
}
