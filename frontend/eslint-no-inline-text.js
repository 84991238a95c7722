/**
 * A rule for components: what people read comes from `src/lib/texts.ts`, so that it can be read and translated in one place.
 *
 * It sees text between tags and in the attributes below. What is the same in every language (the product's name, code) may stay.
 */
const READ_ATTRIBUTES = new Set([
	'action',
	'alt',
	'aria-label',
	'cancel',
	'caption',
	'description',
	'hint',
	'label',
	'placeholder',
	'summary',
	'text',
	'title',
	'what'
]);
const CODE_ELEMENTS = new Set(['code', 'kbd', 'pre', 'style', 'script']);
const NAMES = /\b(Wrenn|Ctrl|Cmd|vCPU|MB|GB|ms|API|REST|JSON|https?)\b/g;

/** Returns true if there are words in it. */
function isText(value) {
	return /\p{L}{2,}/u.test(value.replace(NAMES, ''));
}

export const noInlineText = {
	meta: {
		type: 'problem',
		messages: { inline: 'Take this text from src/lib/texts.ts: “{{text}}”.' },
		schema: []
	},
	create(context) {
		const report = (node, value) => {
			const text = value.trim().replace(/\s+/g, ' ');
			if (isText(text)) context.report({ node, messageId: 'inline', data: { text } });
		};
		return {
			SvelteText(node) {
				const { parent } = node;
				if (parent.type === 'SvelteStyleElement' || parent.type === 'SvelteScriptElement') return;
				if (parent.type === 'SvelteElement' && CODE_ELEMENTS.has(parent.name.name)) return;
				report(node, node.value);
			},
			'SvelteAttribute > SvelteLiteral'(node) {
				if (READ_ATTRIBUTES.has(node.parent.key.name)) report(node, node.value);
			}
		};
	}
};
