/**
 * Who is signed in, kept in localStorage under one key so that tabs share it.
 *
 * The token inside decides nothing here; the server checks it on every request.
 */
import type { AuthResponse } from '../api/types';
import { events } from '../events';

const STORAGE_KEY = 'wrenn.session';

export type Session = AuthResponse;

class SessionManager {
	#current = $state.raw<Session | null>(read());
	/** Why the user is asked to sign in, shown on the login page. */
	notice = $state<string | null>(null);

	constructor() {
		if (typeof window === 'undefined') return;
		// Fires for changes made by other tabs only.
		window.addEventListener('storage', ({ key }) => {
			if (key !== STORAGE_KEY && key !== null) return;
			const stored = read();
			if (stored?.token === this.#current?.token) return;
			this.#set(stored);
		});
	}

	get current(): Session | null {
		return this.#current;
	}

	begin(session: Session): void {
		this.notice = null;
		write(session);
		this.#set(session);
	}

	end(notice: string | null = null): void {
		this.notice = notice;
		write(null);
		this.#set(null);
	}

	#set(session: Session | null): void {
		this.#current = session;
		events.emit('session:changed', undefined);
	}
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
