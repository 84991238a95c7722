/**
 * The user who is signed in, kept in localStorage under one key so that tabs share it.
 *
 *   begin ──► current ── end ─────► nobody: they left
 *               ▲  │ ─── expire ──► nobody: they are asked to sign in, and come back to where they were
 *               └──┘ renew, begin: another token, for the same user and team or for others
 *
 * The token inside decides nothing here; the server checks it on every request. When its time is over the session ends by
 * itself, so that a page that was left open shows nothing more.
 */
import type { Refusal } from '../api/errors';
import type { AuthResponse } from '../api/types';
import { events } from '../events';
import { texts } from '../texts';
import { lifetimeMs } from './token';

const STORAGE_KEY = 'wrenn.session';
/** The timers of tabs do not fire in the same moment. */
const TIMER_SLACK_MS = 5_000;

export type Session = AuthResponse & {
	/** When its time is over, by the clock of this browser. Unknown if the token does not say. */
	expires_at_ms?: number;
};

class SessionManager {
	#current = $state.raw<Session | null>(null);
	#notice = $state<string | null>(null);
	#isThrownOut = $state(false);
	#renewals = 0;
	/** The refusal that came while the token was being replaced. */
	#refused: Refusal | null = null;
	#timer: ReturnType<typeof setTimeout> | undefined;

	constructor() {
		if (typeof window === 'undefined') return;
		const stored = read();
		if (isOver(stored)) this.#throwOut();
		else this.#take(stored);
		// Fires for changes made by other tabs only.
		window.addEventListener('storage', ({ key }) => {
			if (key === STORAGE_KEY || key === null) this.#follow();
		});
		// Timers sleep while the tab or the machine does.
		const look = () => {
			if (isOver(this.#current)) this.expire();
		};
		window.addEventListener('pageshow', look);
		window.addEventListener('focus', look);
		document.addEventListener('visibilitychange', look);
	}

	get current(): Session | null {
		return this.#current;
	}

	/** Why the user is asked to sign in, shown on the login page. */
	get notice(): string | null {
		return this.#notice;
	}

	/** True if the session ended without the user's doing. */
	get isThrownOut(): boolean {
		return this.#isThrownOut;
	}

	begin(answer: AuthResponse): void {
		const lifetime = lifetimeMs(answer.token);
		const session: Session =
			lifetime === null ? answer : { ...answer, expires_at_ms: Date.now() + lifetime };
		this.#notice = null;
		this.#isThrownOut = false;
		write(session);
		this.#set(session);
	}

	/** The user has left, or nothing of the account is left. */
	end(notice: string | null = null): void {
		this.#notice = notice;
		this.#isThrownOut = false;
		write(null);
		this.#set(null);
	}

	/** The token is good no more, or the account is switched off. */
	expire(refusal: Refusal = 'expired'): void {
		if (this.#renewals > 0) {
			this.#refused = refusal;
			return;
		}
		// Another tab may have a newer one, of which this tab was not told yet.
		const stored = read();
		if (stored !== null && stored.token !== this.#current?.token && !isOver(stored)) {
			this.#set(stored);
			return;
		}
		this.#throwOut(refusal);
		this.#set(null);
	}

	/**
	 * Replaces the token by an act that ends the present one. That the server refuses the present one meanwhile is expected.
	 *
	 * @param act returns the new one; null if there is none. What it throws goes to the caller
	 * @returns whether there is a new one
	 */
	async renew(act: () => Promise<AuthResponse | null>): Promise<boolean> {
		const userId = this.#current?.user_id;
		this.#renewals += 1;
		try {
			const answer = await act();
			// Another user may have signed in, in another tab.
			const isOurs = this.#current === null || this.#current.user_id === userId;
			if (answer === null || !isOurs) return false;
			this.#refused = null;
			this.begin(answer);
			return true;
		} finally {
			this.#renewals -= 1;
			const refused = this.#refused;
			if (refused !== null && this.#renewals === 0) {
				this.#refused = null;
				this.expire(refused);
			}
		}
	}

	#follow(): void {
		const stored = read();
		if (stored?.token === this.#current?.token) return;
		if (stored === null && isOver(this.#current, TIMER_SLACK_MS)) this.#throwOut();
		this.#set(stored);
	}

	#throwOut(refusal: Refusal = 'expired'): void {
		this.#notice = texts.session[refusal];
		this.#isThrownOut = true;
		write(null);
	}

	#set(session: Session | null): void {
		const isSame = isSameActor(this.#current, session);
		this.#take(session);
		events.emit(isSame ? 'session:renewed' : 'session:changed', undefined);
	}

	#take(session: Session | null): void {
		this.#current = session;
		clearTimeout(this.#timer);
		if (session?.expires_at_ms === undefined) return;
		this.#timer = setTimeout(() => this.expire(), session.expires_at_ms - Date.now());
	}
}

function isOver(session: Session | null, slackMs = 0): boolean {
	const endMs = session?.expires_at_ms;
	return endMs !== undefined && endMs - slackMs <= Date.now();
}

/** Returns true if two sessions see and may do the same. */
function isSameActor(a: Session | null, b: Session | null): boolean {
	return (
		a !== null &&
		b !== null &&
		a.user_id === b.user_id &&
		a.team_id === b.team_id &&
		a.is_admin === b.is_admin
	);
}

// Storage may be forbidden or hold anything; then the session lives as long as the page.

function read(): Session | null {
	try {
		const text = localStorage.getItem(STORAGE_KEY);
		const value = text === null ? null : (JSON.parse(text) as Partial<Session> | null);
		return typeof value?.token === 'string' ? (value as Session) : null;
	} catch {
		return null;
	}
}

function write(session: Session | null): void {
	try {
		if (session) localStorage.setItem(STORAGE_KEY, JSON.stringify(session));
		else localStorage.removeItem(STORAGE_KEY);
	} catch {
		return;
	}
}

export const session = new SessionManager();
