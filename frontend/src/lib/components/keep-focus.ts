/**
 * Keeps the focus in a list whose rows are taken away: the next row has it then, at the same control, or the one before. When
 * the list is gone as well, the main action of the page has it.
 */
import type { Attachment } from 'svelte/attachments';

/** The control that had the focus last, and its place. */
interface Place {
	row: Element;
	control: HTMLElement;
	/** Among the rows. */
	at: number;
	/** Among the cells of the row. */
	cell: number;
	/** Among the controls of the cell, from the end: links come and go before the actions. */
	fromEnd: number;
}

const CONTROL = 'button:not(:disabled), a[href], input:not(:disabled), select:not(:disabled)';
/** Parts of the page that are opened from a row. They give the focus back to it, so the place stays known meanwhile. */
const OVERLAY = '[role=dialog], [role=alertdialog], [role=menu]';

/** For the element whose children are the rows. */
export const keepFocus: Attachment<HTMLElement> = (list) => {
	const { pathname } = location;
	let place: Place | null = null;

	const stopNoting = noteFocus((target, isPressed) => {
		const row = [...list.children].find((child) => child.contains(target));
		if (!row) place = null;
		else if (!isPressed && target instanceof HTMLElement) place = placeOf(list, row, target);
	});
	// Rows also move, and an element that is moved loses the focus. Dialogs are children of the body.
	const observer = new MutationObserver(() => {
		if (!place) return;
		if (place.row.isConnected) place.at = [...list.children].indexOf(place.row);
		if (document.activeElement === document.body) successor(list, place)?.focus();
	});
	observer.observe(list, { childList: true });
	observer.observe(document.body, { childList: true });
	return () => {
		observer.disconnect();
		stopNoting();
		if (place) focusMainAction(pathname);
	};
};

/** For an element that goes away as a whole while the page stays: the main action has the focus after it. */
export const leaveFocus: Attachment<HTMLElement> = (element) => {
	const { pathname } = location;
	let hasFocus = false;
	const stopNoting = noteFocus((target) => (hasFocus = element.contains(target)));
	return () => {
		stopNoting();
		if (hasFocus) focusMainAction(pathname);
	};
};

/** Calls back when something in the page itself has the focus, or is pressed. Returns the function that ends it. */
function noteFocus(note: (target: Node, isPressed: boolean) => void): () => void {
	const onFocus = ({ type, target }: Event) => {
		if (target instanceof Element && !target.closest(OVERLAY)) note(target, type !== 'focusin');
	};
	document.addEventListener('focusin', onFocus);
	document.addEventListener('pointerdown', onFocus);
	return () => {
		document.removeEventListener('focusin', onFocus);
		document.removeEventListener('pointerdown', onFocus);
	};
}

function placeOf(list: HTMLElement, row: Element, control: HTMLElement): Place {
	const cells = [...row.children];
	const cell = cells.findIndex((child) => child.contains(control));
	const controls = controlsIn(cells[cell]);
	const fromEnd = controls.length - 1 - controls.indexOf(control);
	return { row, control, at: [...list.children].indexOf(row), cell, fromEnd };
}

function successor(
	list: HTMLElement,
	{ row, control, at, cell, fromEnd }: Place
): HTMLElement | undefined {
	if (control.isConnected) return control;
	const next = row.isConnected ? row : (list.children[at] ?? list.lastElementChild);
	const controls = controlsIn(next?.children[cell]);
	return controls.at(-1 - fromEnd) ?? controls[0] ?? controlsIn(next)[0];
}

function controlsIn(element: Element | null | undefined): HTMLElement[] {
	return [...(element?.querySelectorAll<HTMLElement>(CONTROL) ?? [])];
}

/** Focuses the first action in the head of the page, or else its content, as soon as nothing has the focus. */
function focusMainAction(pathname: string): void {
	const look = () => {
		const { activeElement } = document;
		const isOver = location.pathname !== pathname;
		if (activeElement?.closest(OVERLAY) && !isOver) return;
		observer.disconnect();
		if (isOver || activeElement !== document.body) return;
		const head = document.querySelector('[data-page-actions]');
		(controlsIn(head)[0] ?? document.getElementById('content'))?.focus();
	};
	// The element that had it is still there now, and a dialog may be open.
	const observer = new MutationObserver(look);
	observer.observe(document.body, { childList: true });
	queueMicrotask(look);
}
