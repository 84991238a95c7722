/** An entry of the audit log in plain words. What the server has a new name for is shown by that name. */
import type { AdminAuditEntry, AuditEntry } from '../api/types';
import type { Tone } from '../components/tone';
import { texts } from '../texts';

const words = texts.audit;

/** Returns the actor; `why` is the reason for which the server acted by itself. */
export function actorOf({
	actor_type,
	actor_id,
	actor_name
}: Pick<AuditEntry, 'actor_type' | 'actor_id' | 'actor_name'>): { name: string; why?: string } {
	const name = actor_name ?? actor_id ?? words.actors.unknown;
	switch (actor_type) {
		case 'api_key':
			return { name: words.actors.api_key(name) };
		case 'host':
			return { name: words.actors.host(name) };
		case 'anonymous':
			return { name: words.actors.anonymous };
		case 'system':
			return {
				name: words.actors.system,
				why: actor_name === null ? undefined : (words.reasons[actor_name] ?? actor_name)
			};
		default:
			return { name };
	}
}

export function actionText(action: string): string {
	return words.actions[action] ?? action;
}

/** Returns the target of the action, by a name if the entry or the dashboard knows one. */
export function resourceOf(
	{ resource_id, metadata }: Pick<AuditEntry, 'resource_id' | 'metadata'>,
	nameOf: (id: string) => string | null
): string {
	const name = metadata['name'] || metadata['email'];
	if (name) return name;
	if (resource_id === null) return '';
	return nameOf(resource_id) ?? resource_id;
}

/** Returns the team whose log shows the entry, by its name, or the platform; null in the log of a team itself. */
export function teamOf(entry: AuditEntry | AdminAuditEntry): string | null {
	if (!('team_id' in entry)) return null;
	return entry.team_name ?? entry.team_id ?? words.ofPlatform;
}

export const OUTCOME_TONES: Record<AuditEntry['status'], Tone> = {
	accepted: 'moving',
	succeeded: 'live',
	failed: 'broken',
	refused: 'lost'
};
