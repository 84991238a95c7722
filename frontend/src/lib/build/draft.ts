/**
 * The text of the form for a new build while it is not sent: the tab keeps it, so that a reload, another page or the end of the
 * session loses nothing.
 *
 * A draft belongs to a user in a team, and to what the form began with. Signing out drops it.
 */
import { events } from '../events';
import { isSame } from '../polling/reconcile';
import { session } from '../session/session.svelte';
import { DEFAULT_BUILD_FORM, type BuildForm } from './form';
import type { BuildScope } from './scope';

export interface DraftPlace {
	scope: BuildScope;
	/** The build that is to be started again; null for one of its own. */
	from: string | null;
}

interface Draft extends DraftPlace {
	userId: string;
	teamId: string;
	form: BuildForm;
}

const STORAGE_KEY = 'wrenn.build-draft';

/** Returns what was typed there and not sent; null if nothing was. */
export function readDraft(place: DraftPlace): BuildForm | null {
	try {
		const draft = JSON.parse(sessionStorage.getItem(STORAGE_KEY) ?? 'null') as Draft | null;
		if (draft === null || !isForm(draft.form)) return null;
		const { form } = draft;
		return isSame(draft, draftOf(place, form)) ? form : null;
	} catch {
		return null;
	}
}

/** Keeps what is typed, in place of an earlier draft. */
export function keepDraft(place: DraftPlace, form: BuildForm): void {
	try {
		sessionStorage.setItem(STORAGE_KEY, JSON.stringify(draftOf(place, form)));
	} catch {
		// Without storage the text lives as long as the page.
		return;
	}
}

export function dropDraft(): void {
	try {
		sessionStorage.removeItem(STORAGE_KEY);
	} catch {
		return;
	}
}

function draftOf({ scope, from }: DraftPlace, form: BuildForm): Draft {
	const { user_id: userId = '', team_id: teamId = '' } = session.current ?? {};
	return { scope, from, userId, teamId, form };
}

/** Storage can hold anything, also what an older version has kept. */
function isForm(value: unknown): value is BuildForm {
	if (typeof value !== 'object' || value === null) return false;
	const fields = value as Record<string, unknown>;
	return Object.entries(DEFAULT_BUILD_FORM).every(
		([name, usual]) => typeof fields[name] === typeof usual
	);
}

events.on('session:changed', () => {
	// A user who was thrown out comes back for it.
	if (!session.isThrownOut && session.current === null) dropDraft();
});
