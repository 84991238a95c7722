/** Copying that also works over plain HTTP, where browsers hide the clipboard API. */

/** Returns whether the text is on the clipboard now. */
export async function copyText(text: string): Promise<boolean> {
	if (window.isSecureContext) {
		try {
			await navigator.clipboard.writeText(text);
			return true;
		} catch {
			// Refused by a permission policy: the old way may still be open.
		}
	}
	return copyBySelection(text);
}

function copyBySelection(text: string): boolean {
	// Inside an open dialog the focus is trapped there, so the helper must live there too.
	const parent = document.activeElement?.parentElement ?? document.body;
	const previous = document.activeElement;
	const area = document.createElement('textarea');
	area.value = text;
	area.readOnly = true;
	area.style.cssText = 'position:fixed;opacity:0;pointer-events:none';
	parent.append(area);
	area.select();
	try {
		// Deprecated, yet the only way without a secure context.

		return document.execCommand('copy');
	} finally {
		area.remove();
		if (previous instanceof HTMLElement) previous.focus();
	}
}
