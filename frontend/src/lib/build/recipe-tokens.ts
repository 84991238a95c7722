/**
 * Kinds of the parts of a recipe, for their colours.
 *
 *   line ──► blank or comment                      (also between the lines of one instruction)
 *        ──► instruction, its options, words …     (a line that ends with `\` goes on in the next one)
 *
 * It follows the server's grammar where that shows, and judges nothing: what the server would refuse is plain text here.
 */

export const INSTRUCTIONS = ['RUN', 'START', 'ENV', 'WORKDIR', 'USER', 'COPY'] as const;
export type Instruction = (typeof INSTRUCTIONS)[number];

export type TokenKind =
	Instruction | 'comment' | 'option' | 'string' | 'variable' | 'continuation' | 'plain';

export interface Token {
	kind: TokenKind;
	text: string;
}

/** State that a line inherits from the one before, which goes on in it. */
interface Continued {
	/** The quote that is open; empty without one. */
	quote: string;
}

/** The lines of a recipe in their parts, which make up the text again. */
export function tokenize(recipe: string): Token[][] {
	let continued: Continued | null = null;
	return recipe.split('\n').map((line) => {
		const tokens: Token[] = [];
		continued = readLine(line, continued, (kind, text) => {
			const last = tokens.at(-1);
			if (text === '') return;
			if (last?.kind === kind) last.text += text;
			else tokens.push({ kind, text });
		});
		return tokens;
	});
}

type Emit = (kind: TokenKind, text: string) => void;

/** Returns what the next line inherits; null if it begins anew. */
function readLine(line: string, continued: Continued | null, emit: Emit): Continued | null {
	const [, indent = '', content = '', trail = ''] = /^(\s*)(.*?)(\s*)$/s.exec(line) ?? [];
	emit('plain', indent);
	if (content === '' || content.startsWith('#')) {
		emit('comment', content);
		emit('plain', trail);
		return continued;
	}
	const goesOn = content.endsWith('\\');
	let rest = goesOn ? content.slice(0, -1) : content;
	if (!continued) {
		const [, word = '', after = ''] = /^(\S+)(.*)$/s.exec(rest) ?? [];
		const name = INSTRUCTIONS.find((name) => name === word.toUpperCase());
		emit(name ?? 'plain', word);
		rest = name === 'RUN' ? readOptions(after, emit) : after;
	}
	const quote = readWords(rest, continued?.quote ?? '', emit);
	emit('continuation', goesOn ? '\\' : '');
	emit('plain', trail);
	return goesOn ? { quote } : null;
}

/** Returns what follows the options. */
function readOptions(text: string, emit: Emit): string {
	const [all = '', space = '', options = ''] = /^(\s+)((?:--\S+\s*)*)/.exec(text) ?? [];
	emit('plain', space);
	emit('option', options);
	return text.slice(all.length);
}

const VARIABLE = /\$(?:\$|\w+|\{\w*\}?)/y;
/** Characters that mean nothing else, up to the next that may. */
const ORDINARY = /[^\\$'"]+/y;

/** Returns the quote that is open at the end. */
function readWords(text: string, quote: string, emit: Emit): string {
	let at = 0;
	const take = (pattern: RegExp): string => {
		pattern.lastIndex = at;
		return pattern.exec(text)?.[0] ?? '';
	};
	while (at < text.length) {
		const character = text.charAt(at);
		const here = quote === '' ? 'plain' : 'string';
		const variable = quote === "'" ? '' : take(VARIABLE);
		let piece = variable || take(ORDINARY) || character;
		if (variable !== '') {
			emit('variable', variable);
		} else if (character === '\\' && quote !== "'") {
			piece = text.slice(at, at + 2);
			emit(here, piece);
		} else if (quote === '' && (character === '"' || character === "'")) {
			quote = character;
			emit('string', character);
		} else {
			emit(here, piece);
			if (character === quote) quote = '';
		}
		at += piece.length;
	}
	return quote;
}
