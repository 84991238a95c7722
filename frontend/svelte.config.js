import adapter from '@sveltejs/adapter-static';
import { vitePreprocess } from '@sveltejs/vite-plugin-svelte';

/** @type {import('@sveltejs/kit').Config} */
export default {
	preprocess: vitePreprocess(),
	compilerOptions: {
		runes: ({ filename }) => (filename.includes('node_modules') ? undefined : true)
	},
	kit: {
		// A single-page application: the server answers every path it does not know with
		// index.html and lets the router in the browser decide.
		adapter: adapter({ pages: 'build', assets: 'build', fallback: 'index.html' }),
		typescript: {
			config: (generated) => {
				generated.include.push('../e2e/**/*.ts', '../playwright.config.ts');
			}
		}
	}
};
