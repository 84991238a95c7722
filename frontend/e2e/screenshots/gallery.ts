/** The page that shows all pictures side by side: a row for each page, first its states, then its dialogs. */
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { partsOf, STATES } from './folder';

const STYLE = `
	body { margin: 2rem; background: #222; color: #ddd; font: 14px system-ui, sans-serif }
	h2 { margin: 2.5rem 0 .5rem; font-size: 1rem }
	div { display: flex; gap: 1rem; align-items: flex-start; overflow-x: auto; padding-bottom: .5rem }
	figure { margin: 0; flex: none }
	figcaption { margin-bottom: .25rem; color: #999 }
	img { display: block; height: 420px; border: 1px solid #444 }
`;

/** Writes `index.html` into the folder of the pictures and returns its address. */
export async function writeIndex(folder: string): Promise<string> {
	const order = (view: string) => {
		const at = STATES.findIndex((state) => state === view);
		return at === -1 ? STATES.length : at;
	};
	const pictures = (await readdir(folder))
		.flatMap((file) => {
			const parts = partsOf(file);
			return parts ? [{ file, ...parts }] : [];
		})
		.sort(
			(a, b) =>
				a.page.localeCompare(b.page) ||
				order(a.view) - order(b.view) ||
				a.view.localeCompare(b.view) ||
				b.width - a.width
		);
	const sections = [...new Set(pictures.map(({ page }) => page))].map((page) => {
		const figures = pictures
			.filter((picture) => picture.page === page)
			.map(
				({ file, view, width }) =>
					`<figure><figcaption>${view}, ${width}</figcaption>` +
					`<a href="${file}"><img src="${file}" alt="${page}, ${view}, ${width} wide" loading="lazy"></a></figure>`
			);
		return `<h2>${page}</h2>\n<div>${figures.join('\n')}</div>`;
	});
	const path = join(folder, 'index.html');
	const head = `<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Dashboard</title><style>${STYLE}</style>`;
	await writeFile(path, `${head}\n${sections.join('\n')}\n</html>\n`);
	return pathToFileURL(path).href;
}
