import { sveltekit } from '@sveltejs/kit/vite';
import tailwindcss from '@tailwindcss/vite';
import { defineConfig } from 'vitest/config';

/** The address where `npm run dev` finds the API; the built dashboard uses its own origin. */
const apiOrigin = process.env.WRENN_BASE_URL ?? 'http://127.0.0.1:8000';

export default defineConfig({
	plugins: [tailwindcss(), sveltekit()],
	server: {
		proxy: {
			'/v1': { target: apiOrigin, ws: true },
			'/docs': apiOrigin,
			'/openapi.json': apiOrigin
		}
	},
	build: {
		rolldownOptions: {
			output: {
				// A browser fetches few files at a time, so what every page needs is not in a hundred of them.
				codeSplitting: {
					groups: [
						{ name: 'icons', test: /node_modules\/@lucide/ },
						{
							name: 'components',
							test: /src\/lib\/(components|shell|session|api|polling|live|forms)\//
						}
					]
				}
			}
		}
	},
	// Runes in the managers under test must be the reactive ones, not those of server rendering.
	resolve: process.env.VITEST ? { conditions: ['browser'] } : {},
	test: { include: ['src/**/*.test.ts', '*.test.js'], environment: 'node' }
});
