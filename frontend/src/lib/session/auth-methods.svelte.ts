/** The ways to sign up and in. They change only when the server is set up anew, so they are loaded once. */
import { api } from '../api/client';
import { toApiError, unwrap, type ApiError } from '../api/errors';
import type { AuthMethods } from '../api/types';

class AuthMethodsView {
	#value = $state.raw<AuthMethods | null>(null);
	#error = $state.raw<ApiError | null>(null);
	#isLoading = false;

	/** Null until they are known. */
	get value(): AuthMethods | null {
		return this.#value;
	}

	get error(): ApiError | null {
		return this.#error;
	}

	/** Loads them, unless they are known. */
	async load(): Promise<void> {
		if (this.#value !== null || this.#isLoading) return;
		this.#isLoading = true;
		try {
			this.#value = await unwrap(api.GET('/v1/auth/methods'));
			this.#error = null;
		} catch (error) {
			this.#error = toApiError(error);
		} finally {
			this.#isLoading = false;
		}
	}
}

export const authMethods = new AuthMethodsView();
