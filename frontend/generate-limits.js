/**
 * Writes `src/lib/api/limits.ts`: the limits and defaults of request bodies, from `openapi.json`.
 *
 *     node generate-limits.js           writes the file
 *     node generate-limits.js --check   fails if the file is stale
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { format, resolveConfig } from 'prettier';

const SOURCE = join(import.meta.dirname, 'openapi.json');
const TARGET = join(import.meta.dirname, 'src/lib/api/limits.ts');

const KEYWORDS = ['minimum', 'maximum', 'minLength', 'maxLength', 'pattern', 'default'];
const REFERENCE_PREFIX = '#/components/schemas/';

const HEADER = `\
/**
 * Limits and defaults of request bodies, by schema and property. A property without either is empty.
 *
 * Generated from \`openapi.json\` by \`npm run generate\`. Do not edit.
 */
`;

/**
 * Returns the text of the module.
 *
 * Properties without limits are kept, so that code can read a limit that the schema may get later,
 * and a renamed property is a type error.
 */
export async function limitsModule(document) {
	const { schemas } = document.components;
	const requests = sortedKeys(schemas).filter((name) => name.endsWith('Request'));
	const limits = mapToObject(requests, (name) => {
		const properties = schemas[name].properties ?? {};
		return mapToObject(sortedKeys(properties), (key) => limitsOf(properties[key], schemas));
	});
	const text = `${HEADER}export const limits = ${JSON.stringify(limits, null, '\t')} as const;`;
	return format(text, { ...(await resolveConfig(TARGET)), filepath: TARGET });
}

function limitsOf(property, schemas) {
	const { $ref: reference = '' } = property;
	const referenced = reference.startsWith(REFERENCE_PREFIX)
		? schemas[reference.slice(REFERENCE_PREFIX.length)]
		: {};
	const schema = { ...referenced, ...property };
	return mapToObject(
		KEYWORDS.filter((keyword) => keyword in schema),
		(keyword) => schema[keyword]
	);
}

function sortedKeys(object) {
	return Object.keys(object).sort();
}

function mapToObject(keys, valueOf) {
	return Object.fromEntries(keys.map((key) => [key, valueOf(key)]));
}

async function main(isCheck) {
	const expected = await limitsModule(JSON.parse(await readFile(SOURCE, 'utf8')));
	if (!isCheck) {
		await writeFile(TARGET, expected);
		return;
	}
	const current = await readFile(TARGET, 'utf8').catch(() => null);
	if (current === expected) return;
	console.error('src/lib/api/limits.ts does not match openapi.json: run `npm run generate`.');
	process.exitCode = 1;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
	await main(process.argv.includes('--check'));
}
