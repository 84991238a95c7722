/** The names of identity providers. */
import { texts } from '../texts';

const NAMES: Record<string, string> = texts.session.providers;

/** @param provider as the API names it */
export function providerName(provider: string): string {
	return NAMES[provider] ?? provider;
}
