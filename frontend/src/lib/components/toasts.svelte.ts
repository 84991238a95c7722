/** Short messages about what was done, which go away by themselves. */

export type ToastKind = 'done' | 'failed';

export interface Toast {
	id: number;
	kind: ToastKind;
	text: string;
}

const SHOWN_FOR_MS: Record<ToastKind, number> = { done: 4_000, failed: 10_000 };

class ToastManager {
	#nextId = 1;
	items = $state.raw<Toast[]>([]);

	done(text: string): void {
		this.#show('done', text);
	}

	failed(text: string): void {
		this.#show('failed', text);
	}

	dismiss(id: number): void {
		this.items = this.items.filter((toast) => toast.id !== id);
	}

	#show(kind: ToastKind, text: string): void {
		const id = this.#nextId++;
		this.items = [...this.items, { id, kind, text }];
		setTimeout(() => this.dismiss(id), SHOWN_FOR_MS[kind]);
	}
}

export const toasts = new ToastManager();
