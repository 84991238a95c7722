/** The events in the dashboard that more than one place cares about, as one typed map. */
import type {
	ApiKey,
	Build,
	Capsule,
	CapsuleOperation,
	Channel,
	PlatformSettings,
	Template
} from './api/types';
import type { ServerNews } from './live/protocol';
import type { Refusal } from './api/errors';

export interface EventMap {
	/** The server refused the token of the present session, or its account. */
	'session:refused': Refusal;
	/** Another user, or none, is signed in now: forget what belonged to the previous user. */
	'session:changed': undefined;
	/** The same user acts for the same team, with another token or another name. */
	'session:renewed': undefined;
	/** Something about the user's own account is different now. */
	'account:changed': undefined;
	/** Something changed on the server, whoever did it. */
	'server:news': ServerNews;
	/** News may be missing: look at everything again. */
	'server:reset': undefined;
	'capsule:created': Capsule;
	/** The server was asked for this and has not answered yet. */
	'capsule:asked': { id: string; operation: CapsuleOperation };
	/** The server has answered; with what the capsule is now, if it said that. */
	'capsule:answered': { id: string; capsule?: Capsule };
	/** Something of it is different now, though nothing was done with its machine. */
	'capsule:changed': Capsule;
	'capsule:destroyed': { id: string };
	'template:created': Template;
	'template:deleted': { id: string };
	'build:created': Build;
	/** Something was done with it; its logs may be missing here. */
	'build:changed': Build;
	/** Something about one of the user's teams, or their role there, is different now. */
	'team:changed': undefined;
	/** An administrator of the platform changed a team. */
	'any-team:changed': undefined;
	/** An administrator of the platform changed an account. */
	'user:changed': undefined;
	/** The session acts for a team of which the user is no longer a member. */
	'team:lost': { id: string };
	/** A member of the present team, or a role, is different now. */
	'member:changed': undefined;
	'invitation:changed': undefined;
	'key:created': ApiKey;
	'key:deleted': { id: string };
	'channel:created': Channel;
	'channel:changed': Channel;
	'channel:deleted': { id: string };
	'host:changed': { id: string };
	/** The settings of the platform were saved here. */
	'settings:changed': PlatformSettings;
}

type Listener<T> = (payload: T) => void;

/** Synchronous and in order of subscription. */
export class EventBus<Map> {
	readonly #listeners: { [K in keyof Map]?: Set<Listener<Map[K]>> } = {};

	/** Subscribes and returns the function that unsubscribes. */
	on<K extends keyof Map>(name: K, listener: Listener<Map[K]>): () => void {
		const listeners = (this.#listeners[name] ??= new Set());
		listeners.add(listener);
		return () => void listeners.delete(listener);
	}

	emit<K extends keyof Map>(name: K, payload: Map[K]): void {
		for (const listener of this.#listeners[name] ?? []) listener(payload);
	}
}

export const events = new EventBus<EventMap>();
