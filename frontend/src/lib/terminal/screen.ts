/**
 * The screen of a terminal, drawn by xterm.js, which is loaded only when a terminal is opened.
 *
 * It lives in an element of its own, which is moved into the page and out of it again, so a terminal that
 * nobody looks at keeps what it shows.
 */
import { FitAddon } from '@xterm/addon-fit';
import { Terminal } from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';
import { copyText } from '../components/clipboard';
import type { Size } from './frames';
import { THEME } from './theme';

const FONT_PX = 13;
const FONT = "'IBM Plex Mono', ui-monospace, monospace";
const KEPT_LINES = 5_000;

export interface ScreenEvents {
	onInput: (data: string) => void;
	/** Bytes that are no text, as some ways of reporting the mouse send them. */
	onBytes: (data: string) => void;
	onResize: (size: Size) => void;
	onTitle: (title: string) => void;
	onSelect: (hasSelection: boolean) => void;
	/** The keyboard is to leave the terminal. */
	onLeave: () => void;
}

export class Screen {
	readonly #element = document.createElement('div');
	readonly #fit = new FitAddon();
	readonly #terminal = new Terminal({
		fontFamily: FONT,
		fontSize: FONT_PX,
		lineHeight: 1.15,
		scrollback: KEPT_LINES,
		theme: THEME,
		cursorBlink: !matchMedia('(prefers-reduced-motion: reduce)').matches,
		macOptionIsMeta: true,
		screenReaderMode: false
	});
	readonly #events: ScreenEvents;
	#isOpen = false;

	/** A screen measures its letters once, so the font is there before. */
	static async create(events: ScreenEvents): Promise<Screen> {
		await Promise.all(
			['400', '500'].map((weight) => document.fonts.load(`${weight} ${FONT_PX}px 'IBM Plex Mono'`))
		).catch(() => undefined);
		return new Screen(events);
	}

	private constructor(events: ScreenEvents) {
		this.#events = events;
		this.#element.className = 'size-full';
		this.#terminal.loadAddon(this.#fit);
		this.#terminal.onData(events.onInput);
		this.#terminal.onBinary(events.onBytes);
		this.#terminal.onResize(({ cols, rows }) => events.onResize({ cols, rows }));
		this.#terminal.onTitleChange(events.onTitle);
		this.#terminal.onSelectionChange(() => events.onSelect(this.#terminal.hasSelection()));
		this.#terminal.attachCustomKeyEventHandler((event) => this.#handleKey(event));
	}

	/** Shows it in a part of the page until the returned function is called. */
	mount(parent: HTMLElement): () => void {
		parent.append(this.#element);
		if (!this.#isOpen) this.#terminal.open(this.#element);
		this.#isOpen = true;
		this.fit();
		const observer = new ResizeObserver(() => this.fit());
		observer.observe(parent);
		return () => {
			observer.disconnect();
			this.#element.remove();
		};
	}

	/** As many columns and rows as there is room for. */
	fit(): void {
		const { clientWidth, clientHeight } = this.#element;
		if (clientWidth > 0 && clientHeight > 0) this.#fit.fit();
	}

	focus(): void {
		this.#terminal.focus();
	}

	write(bytes: Uint8Array | string, onDrawn?: () => void): void {
		this.#terminal.write(bytes, onDrawn);
	}

	/** Forgets everything that it shows. */
	reset(): void {
		this.#terminal.reset();
	}

	async copySelection(): Promise<boolean> {
		const text = this.#terminal.getSelection();
		if (text === '') return true;
		const isCopied = await copyText(text);
		this.focus();
		return isCopied;
	}

	/** As if it had been typed, and told to programs that care as something pasted. */
	paste(text: string): void {
		this.#terminal.paste(text);
		this.focus();
	}

	dispose(): void {
		this.#terminal.dispose();
		this.#element.remove();
	}

	/** Returns whether the terminal is to have the key. */
	#handleKey(event: KeyboardEvent): boolean {
		if (!event.ctrlKey || !event.shiftKey) return true;
		switch (event.code) {
			case 'KeyC':
				event.preventDefault();
				if (event.type === 'keydown') void this.copySelection();
				return false;
			case 'KeyV':
				// The browser pastes.
				return false;
			case 'ArrowUp':
				event.preventDefault();
				if (event.type === 'keydown') this.#events.onLeave();
				return false;
			default:
				return true;
		}
	}
}
