import { expect, it } from 'vitest';
import { accessModule, limitsModule } from './generate-tables.js';

const document = (schemas) => ({ components: { schemas } });

it('writes the limits of requests, sorted and formatted', async () => {
	const text = await limitsModule(
		document({
			RunRequest: {
				type: 'object',
				properties: {
					size: { type: 'integer', maximum: 32, minimum: 0, default: 1, format: 'int32' },
					label: { type: 'string', pattern: "^[a-z'\\d]+$", maxLength: 63, minLength: 1 },
					dry_run: { type: 'boolean', default: false },
					note: { type: 'string', description: 'Free text.' }
				}
			},
			Run: { properties: { size: { minimum: 0 } } },
			AbortRequest: { type: 'object' }
		})
	);
	const [header, code] = text.split(/(?=^export )/m);
	expect(header).toContain('Generated from `openapi.json` by `npm run generate`.');
	expect(code).toBe(`\
export const limits = {
	AbortRequest: {},
	RunRequest: {
		dry_run: {
			default: false
		},
		label: {
			minLength: 1,
			maxLength: 63,
			pattern: "^[a-z'\\\\d]+$"
		},
		note: {},
		size: {
			minimum: 0,
			maximum: 32,
			default: 1
		}
	}
} as const;
`);
});

it('does not depend on the order of the schemas', async () => {
	const a = { properties: { x: { minimum: 1, maximum: 2 }, y: { default: 'z' } } };
	const b = { properties: { y: { default: 'z' }, x: { maximum: 2, minimum: 1 } } };
	expect(await limitsModule(document({ ARequest: a, BRequest: a }))).toBe(
		await limitsModule(document({ BRequest: b, ARequest: b }))
	);
});

it('follows references; what stands beside one wins', async () => {
	const text = await limitsModule(
		document({
			Name: { type: 'string', maxLength: 63, default: 'a' },
			NamedRequest: {
				properties: { name: { $ref: '#/components/schemas/Name', default: 'b' } }
			}
		})
	);
	expect(text).toContain("maxLength: 63,\n\t\t\tdefault: 'b'\n");
});

it('writes who may call each operation, sorted', async () => {
	const text = await accessModule({
		paths: {
			'/v1/teams': { post: { operationId: 'create_team', 'x-access': 'signed_in' } },
			'/v1/teams/{id}': {
				get: { operationId: 'get_team', 'x-access': 'member' },
				delete: { operationId: 'delete_team', 'x-access': 'owner' }
			}
		}
	});
	expect(text.slice(text.indexOf('export '))).toBe(`\
export const access = {
	create_team: 'signed_in',
	delete_team: 'owner',
	get_team: 'member'
} as const;
`);
});
