/**
 * Faults of a recipe and its healthcheck while they are written, as the server's own grammar tells them.
 *
 *   typing ──► a pause of half a second ──► asked; an answer that was overtaken is dropped
 *
 * A check that fails says nothing: the build itself is refused with the reason.
 */
import { isAbort } from '../api/errors';
import type { RecipeFaults } from '../api/types';
import { checkBuild } from './service';

/** A user who types a word does not want to hear of each letter. */
const PAUSE_MS = 500;

const NO_FAULTS: RecipeFaults = { recipe: [], healthcheck: null };

export class RecipeCheck {
	#faults = $state.raw<RecipeFaults>(NO_FAULTS);
	#asking: AbortController | undefined;
	#timer: ReturnType<typeof setTimeout> | undefined;

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
		this.#timer = setTimeout(() => void this.#ask(recipe, healthcheck.trim()), PAUSE_MS);
	}

	/** Gives up what is under way. */
	close(): void {
		clearTimeout(this.#timer);
		this.#asking?.abort();
	}

	async #ask(recipe: string, healthcheck: string): Promise<void> {
		const asking = new AbortController();
		this.#asking = asking;
		try {
			const faults = await checkBuild(recipe, healthcheck, asking.signal);
			if (!asking.signal.aborted) this.#faults = faults;
		} catch (error) {
			if (!isAbort(error) && !asking.signal.aborted) this.#faults = NO_FAULTS;
		}
	}
}
