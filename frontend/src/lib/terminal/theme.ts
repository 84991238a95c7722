/** The colours of app.css for the sixteen that programs know; xterm.js takes no custom properties. */
import type { ITheme } from '@xterm/xterm';

export const THEME: ITheme = {
	background: '#0f0c0a',
	foreground: '#e9e6e1',
	cursor: '#e0c28c',
	cursorAccent: '#0f0c0a',
	selectionBackground: '#e0c28c4d',
	black: '#26211d',
	red: '#ee6a5f',
	green: '#73c991',
	yellow: '#e0b062',
	blue: '#7fb2dd',
	magenta: '#b9a1e3',
	cyan: '#7cc4cf',
	white: '#cfcac3',
	brightBlack: '#8b837b',
	brightRed: '#ff8f82',
	brightGreen: '#95e0ae',
	brightYellow: '#f2cc8a',
	brightBlue: '#a3cdf2',
	brightMagenta: '#d2c0f2',
	brightCyan: '#a2dfe8',
	brightWhite: '#fbf9f6'
};
