/**
 * Writes what the forms and buttons need to know of the API, from `openapi.json`:
 *
 *     src/lib/api/limits.ts    the limits and defaults of request bodies
 *     src/lib/api/access.ts    who may call each operation
 *
 *     node generate-tables.js           writes the files
 *     node generate-tables.js --check   fails if one is stale
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { format, resolveConfig } from 'prettier';

const SOURCE = join(import.meta.dirname, 'openapi.json');
const FOLDER = join(import.meta.dirname, 'src/lib/api');

const KEYWORDS = ['minimum', 'maximum', 'minLength', 'maxLength', 'pattern', 'default'];
const REFERENCE_PREFIX = '#/components/schemas/';

const LIMITS_HEADER = `\
/**
 * Limits and defaults of request bodies, by schema and property. A property without either is empty.
 *
 * Generated from \`openapi.json\` by \`npm run generate\`. Do not edit.
 */
`;

const ACCESS_HEADER = `\
/**
 * The least that a caller of an operation must be: nobody, somebody who has signed in, a member, admin or owner of the
 * team, an administrator of the platform, or a host.
 *
 * Generated from \`openapi.json\` by \`npm run generate\`. Do not edit.
 */
`;

/**
 * Returns the text of `limits.ts`.
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
	return formatted(
		'limits.ts',
		`${LIMITS_HEADER}export const limits = ${toText(limits)} as const;`
	);
}

/** Returns the text of `access.ts`. */
export async function accessModule(document) {
	const operations = Object.values(document.paths)
		.flatMap((item) => Object.values(item))
		.map((operation) => [operation.operationId, operation['x-access']]);
	const access = Object.fromEntries(operations.sort(([a], [b]) => (a < b ? -1 : 1)));
	return formatted(
		'access.ts',
		`${ACCESS_HEADER}export const access = ${toText(access)} as const;`
	);
}

const toText = (table) => JSON.stringify(table, null, '\t');

async function formatted(name, text) {
	const filepath = join(FOLDER, name);
	return format(text, { ...(await resolveConfig(filepath)), filepath });
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
	const document = JSON.parse(await readFile(SOURCE, 'utf8'));
	const modules = { 'limits.ts': limitsModule, 'access.ts': accessModule };
	for (const [name, moduleOf] of Object.entries(modules)) {
		const target = join(FOLDER, name);
		const expected = await moduleOf(document);
		if (!isCheck) {
			await writeFile(target, expected);
		} else if (expected !== (await readFile(target, 'utf8').catch(() => null))) {
			console.error(`src/lib/api/${name} does not match openapi.json: run \`npm run generate\`.`);
			process.exitCode = 1;
		}
	}
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
	await main(process.argv.includes('--check'));
}
