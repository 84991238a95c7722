/** The messages between the tabs of a browser and their worker. */
import type { Refusal } from '../api/errors';

/** Something that changed on the server; see docs/events.md for the types and their facts. */
export interface ServerNews {
	type: string;
	resource_type: string;
	resource_id: string;
	team_id?: string;
	at: string;
	facts: Record<string, unknown>;
}

export type ToWorker =
	/** The tab wants the events that this token may see; again with another token, or after it was away. */
	| { kind: 'join'; token: string; isVisible: boolean }
	| { kind: 'seen'; isVisible: boolean }
	| { kind: 'leave' }
	/** The tab holds a lock of this name for as long as it lives. */
	| { kind: 'alive'; lockName: string };

export type ToTab =
	| { kind: 'news'; news: ServerNews }
	/** Events may be missing: whatever is shown must be read anew. */
	| { kind: 'reset' }
	/** Tells if events arrive as they happen. */
	| { kind: 'live'; isLive: boolean }
	/** The server does not accept the token, or its account. */
	| { kind: 'refused'; token: string; refusal: Refusal };
