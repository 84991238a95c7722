/** A capsule, kept up to date while its page is open. */
import { api } from '../api/client';
import { unwrap } from '../api/errors';
import type { Capsule } from '../api/types';
import { isSettling } from './status';
import { events } from '../events';
import { Polled } from '../polling/polled.svelte';
import { capsules } from './capsules.svelte';

export class CapsuleView extends Polled<Capsule> {
	readonly id: string;

	constructor(id: string) {
		super(({ resource_id }) => resource_id === id);
		this.id = id;
		// Coming from the list, there is something to show at once.
		const known = capsules.items.find((capsule) => capsule.id === id);
		if (known) this.put(known);
	}

	get capsule(): Capsule | null {
		return this.value;
	}

	override watch(): () => void {
		const isOurs = ({ id }: { id: string }) => id === this.id;
		const undo = [
			super.watch(),
			events.on('capsule:asked', (asked) => {
				if (isOurs(asked)) this.refresh();
			}),
			events.on('capsule:answered', (answered) => {
				if (!isOurs(answered)) return;
				if (answered.capsule) this.put(answered.capsule);
				else this.refresh();
			}),
			events.on('capsule:changed', (changed) => {
				if (isOurs(changed)) this.put(changed);
			})
		];
		return () => undo.forEach((release) => release());
	}

	protected override ask(signal: AbortSignal): Promise<Capsule> {
		const params = { path: { id: this.id } };
		return unwrap(api.GET('/v1/capsules/{id}', { params, signal }));
	}

	protected override isSettling(): boolean {
		if (capsules.asked(this.id)) return true;
		return this.capsule !== null && isSettling(this.capsule);
	}
}
