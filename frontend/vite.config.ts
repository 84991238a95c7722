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
	// Runes in the managers under test must be the reactive ones, not those of server rendering.
	resolve: process.env.VITEST ? { conditions: ['browser'] } : {},
	test: { include: ['src/**/*.test.ts', '*.test.js'], environment: 'node' }
});
