import { RuleTester } from 'eslint';
import * as parser from 'svelte-eslint-parser';
import { describe, it } from 'vitest';
import { noInlineText } from './eslint-no-inline-text.js';

RuleTester.describe = describe;
RuleTester.it = it;

const inline = (...texts) => texts.map((text) => ({ messageId: 'inline', data: { text } }));

new RuleTester({ languageOptions: { parser } }).run('no-inline-text', noInlineText, {
	valid: [
		'<p>{texts.common.close}</p>',
		'<Button title={texts.common.close}>×</Button>',
		'<p class="some words" data-testid="status">Wrenn 3 · {name}</p>',
		'<code>GET /v1/capsules</code>',
		'<style>p { color: red }</style>'
	],
	invalid: [
		{ code: '<p>Close it</p>', errors: inline('Close it') },
		{ code: '<p>a {name} is\n gone</p>', errors: inline('is gone') },
		{ code: '<Button title="Close" aria-label="Close {id}" />', errors: inline('Close', 'Close') },
		{ code: '{#if a}<b>Yes</b>{:else}Never{/if}', errors: inline('Yes', 'Never') }
	]
});
