/** The files of real capsules, in the browser. */
import { readFile } from 'node:fs/promises';
import { expect, test, type Page } from '@playwright/test';
import {
	admin,
	call,
	createCapsule,
	destroyCapsule,
	exec,
	openTab,
	signIn,
	waitUntilRunning
} from './dashboard';

const PATIENCE = { timeout: 60_000 };

/** Signs in, and lends a capsule that runs. */
async function withCapsule(page: Page, use: (id: string) => Promise<void>): Promise<void> {
	await signIn(page, admin());
	const id = await createCapsule(page);
	try {
		await waitUntilRunning(page, id);
		await exec(page, id, 'mkdir -p /srv/work && chmod 777 /srv/work');
		await use(id);
	} finally {
		// Whatever was typed and not saved is not asked about.
		await page.goto('about:blank');
		await page.goto('/dashboard/capsules/list');
		await destroyCapsule(page, id);
	}
}

async function openFolder(page: Page, id: string, path: string): Promise<void> {
	await page.goto(`/dashboard/capsules/${id}/files?path=${path}`);
	await expect(page.getByTitle('Changes show as they happen')).toBeVisible(PATIENCE);
}

const tree = (page: Page) => page.getByRole('tree');
const preview = (page: Page) => page.getByRole('region', { name: 'Preview' });
const text = (page: Page) => preview(page).getByTestId('file-text').first();

function file(page: Page, name: string) {
	return tree(page).getByRole('treeitem', { name, exact: true });
}

async function choose(page: Page, name: string): Promise<void> {
	await file(page, name).click(PATIENCE);
	await expect(preview(page).getByRole('heading', { name })).toBeVisible();
}

async function upload(page: Page, name: string, content: Buffer | string): Promise<void> {
	const buffer = Buffer.from(content);
	await page
		.getByLabel('Files to upload')
		.setInputFiles({ name, mimeType: 'application/octet-stream', buffer });
}

/** The bytes of a file, as a program gets them. */
async function readOverRest(page: Page, id: string, path: string): Promise<string> {
	const answer = await call(page, 'POST', `/v1/capsules/${id}/files/read`, { path });
	return answer.text();
}

test('files are uploaded, seen, downloaded, renamed, watched and deleted', async ({ page }) => {
	test.slow();
	await withCapsule(page, async (id) => {
		const lists: string[] = [];
		page.on('request', (request) => {
			if (request.url().endsWith('/files/list')) lists.push(request.postData() ?? '');
		});
		await openFolder(page, id, '/srv/work');
		await expect(page.getByText('This folder is empty')).toBeVisible(PATIENCE);

		await test.step('one request is enough to show a folder', () => {
			expect(lists).toEqual(['{"path":"/srv/work"}']);
		});

		await test.step('a file is uploaded and shown', async () => {
			await upload(page, 'notes.txt', 'größe\nline two\n');
			await choose(page, 'notes.txt');
			await expect(text(page)).toHaveText('größe\nline two', PATIENCE);
			await expect(preview(page).getByTestId('file-facts')).toContainText('-rw-');
		});

		await test.step('the same name is only replaced when that is meant', async () => {
			await upload(page, 'notes.txt', 'new\n');
			await page.getByRole('alertdialog').getByRole('button', { name: 'Replace' }).click();
			await expect(file(page, 'notes.txt').getByTitle('4 bytes')).toBeVisible(PATIENCE);
			await expect(text(page)).toHaveText('new', PATIENCE);
		});

		await test.step('bytes come back as they went', async () => {
			const bytes = Buffer.from(Array.from({ length: 3_000_000 }, (_, at) => (at * 7) % 256));
			await upload(page, 'data.bin', bytes);
			await choose(page, 'data.bin');
			await expect(preview(page).getByText('This is not text')).toBeVisible(PATIENCE);
			const downloading = page.waitForEvent('download', PATIENCE);
			await page.getByRole('button', { name: 'Download data.bin' }).click();
			const download = await downloading;
			expect(download.suggestedFilename()).toBe('data.bin');
			expect((await readFile(await download.path())).equals(bytes)).toBe(true);
		});

		await test.step('what happens inside shows by itself', async () => {
			await exec(page, id, 'echo hello > /srv/work/from-inside');
			await expect(file(page, 'from-inside')).toBeVisible(PATIENCE);
		});

		await test.step('a file is renamed, but not onto another', async () => {
			await choose(page, 'from-inside');
			await page.getByRole('button', { name: 'Rename from-inside' }).click();
			const dialog = page.getByRole('dialog');
			await dialog.getByLabel('Name').fill('notes.txt');
			await dialog.getByRole('button', { name: 'Rename' }).click();
			await expect(dialog.getByRole('alert')).toContainText('conflict');
			await dialog.getByLabel('Name').fill('moved');
			await dialog.getByRole('button', { name: 'Rename' }).click();
			await expect(dialog).toHaveCount(0, PATIENCE);
			await expect(file(page, 'moved')).toBeVisible(PATIENCE);
			await expect(file(page, 'from-inside')).toHaveCount(0);
		});

		await test.step('a folder is made, unfolded, begun with, and left by its crumbs', async () => {
			await page.getByRole('button', { name: 'New folder' }).click();
			const dialog = page.getByRole('dialog');
			await dialog.getByLabel('Name').fill('inner');
			await dialog.getByRole('button', { name: 'Make folder' }).click();
			await choose(page, 'inner');
			await expect(tree(page).getByText('Empty')).toBeVisible(PATIENCE);
			await exec(page, id, 'echo deep > /srv/work/inner/deep.txt');
			await expect(file(page, 'deep.txt')).toBeVisible(PATIENCE);
			await page.getByRole('button', { name: 'Begin the tree at inner' }).click();
			await expect(page).toHaveURL(/path=%2Fsrv%2Fwork%2Finner/);
			await expect(file(page, 'moved')).toHaveCount(0);
			const crumbs = page.getByRole('navigation', { name: 'Folder' });
			await crumbs.getByRole('link', { name: 'work' }).click();
			await expect(file(page, 'moved')).toBeVisible(PATIENCE);
		});

		await test.step('they are deleted after a question, folders with what is in them', async () => {
			for (const [name, lost] of [
				['moved', 'is deleted'],
				['inner', 'and everything in it']
			] as const) {
				await choose(page, name);
				await page.getByRole('button', { name: `Delete ${name}` }).click();
				const question = page.getByRole('alertdialog');
				await expect(question).toContainText(`/srv/work/${name} ${lost}`);
				await question.getByRole('button', { name: 'Delete' }).click();
				await expect(file(page, name)).toHaveCount(0, PATIENCE);
			}
		});

		await test.step('a path is typed, of a folder or of a file', async () => {
			const typed = page.getByRole('textbox', { name: 'Path' });
			await page.getByRole('button', { name: 'Type a path' }).click();
			await typed.fill('/srv/nowhere');
			await typed.press('Enter');
			await expect(page.getByRole('alert')).toContainText('no such file');
			await typed.fill('/etc/hostname');
			await typed.press('Enter');
			await expect(page).toHaveURL(/path=%2Fetc/, PATIENCE);
			await expect(preview(page).getByRole('heading', { name: 'hostname' })).toBeVisible(PATIENCE);
		});

		await test.step('what cannot be done is said', async () => {
			await page.goto(`/dashboard/capsules/${id}/files?path=/srv/nowhere`);
			await expect(page.getByRole('alert')).toContainText('not_found', PATIENCE);
			await expect(page.getByRole('button', { name: 'Try again' })).toBeVisible();
		});

		await test.step('without a path it is the user’s home', async () => {
			await openTab(page, 'Processes');
			await openTab(page, 'Files');
			await expect(page).toHaveURL(/path=%2F(root|home)/, PATIENCE);
		});
	});
});

test('texts are edited and saved, and nothing is lost without a question', async ({ page }) => {
	test.slow();
	await withCapsule(page, async (id) => {
		await exec(
			page,
			id,
			`cd /srv/work && printf 'one\\r\\ntwo\\r\\n' > crlf.txt && chmod 600 crlf.txt && echo other > other.txt`
		);
		await openFolder(page, id, '/srv/work');
		const field = page.getByRole('textbox', { name: 'Edit the text of crlf.txt' });
		const edit = async () => {
			await page.getByRole('button', { name: 'Edit crlf.txt' }).click(PATIENCE);
			await expect(field).toBeFocused();
		};
		const question = page.getByRole('alertdialog');

		await test.step('a saved text is read over REST, with its line ends and mode', async () => {
			await choose(page, 'crlf.txt');
			await expect(text(page)).toHaveText('one\ntwo', PATIENCE);
			await edit();
			await field.fill('one\n2\ntwo\n');
			await field.press('Control+s');
			await expect(page.getByText('/srv/work/crlf.txt is saved')).toBeVisible(PATIENCE);
			expect(await readOverRest(page, id, '/srv/work/crlf.txt')).toBe('one\r\n2\r\ntwo\r\n');
			expect(await exec(page, id, 'stat -c %a /srv/work/crlf.txt')).toBe('600\n');
		});

		await test.step('unsaved changes ask before another file, and before another page', async () => {
			await edit();
			await field.fill('typed\n');
			await file(page, 'other.txt').click();
			await question.getByRole('button', { name: 'Go on editing' }).click();
			await expect(field).toHaveValue('typed\n');
			const processes = page.getByRole('link', { name: 'Processes' });
			await processes.click();
			await question.getByRole('button', { name: 'Go on editing' }).click();
			await expect(field).toHaveValue('typed\n');
		});

		await test.step('what others wrote meanwhile is replaced only when that is meant', async () => {
			await exec(page, id, 'printf "theirs, and longer\\n" > /srv/work/crlf.txt');
			await expect(page.getByText('The file was changed since it was read.')).toBeVisible(PATIENCE);
			await page.getByRole('button', { name: 'Save' }).click();
			await question.getByRole('button', { name: 'Cancel' }).click();
			expect(await readOverRest(page, id, '/srv/work/crlf.txt')).toBe('theirs, and longer\n');
			await page.getByRole('button', { name: 'Save' }).click();
			await question.getByRole('button', { name: 'Replace' }).click();
			await expect
				.poll(() => readOverRest(page, id, '/srv/work/crlf.txt'), PATIENCE)
				.toBe('typed\r\n');
		});

		await test.step('discarded changes are gone', async () => {
			await edit();
			await field.fill('never\n');
			await page.getByRole('link', { name: 'Processes' }).click();
			await question.getByRole('button', { name: 'Discard' }).click();
			await expect(page).toHaveURL(/processes$/);
			await openTab(page, 'Files');
			expect(await readOverRest(page, id, '/srv/work/crlf.txt')).toBe('typed\r\n');
		});

		await test.step('a new file is made and filled', async () => {
			await openFolder(page, id, '/srv/work');
			await page.getByRole('button', { name: 'New file' }).click();
			const dialog = page.getByRole('dialog');
			await dialog.getByLabel('Name').fill('fresh.txt');
			await dialog.getByRole('button', { name: 'Make file' }).click();
			await page.getByRole('button', { name: 'Edit fresh.txt' }).click(PATIENCE);
			await page
				.getByRole('textbox', { name: 'Edit the text of fresh.txt' })
				.fill('written here\n');
			await page.getByRole('button', { name: 'Save' }).click();
			await expect(page.getByText('/srv/work/fresh.txt is saved')).toBeVisible(PATIENCE);
			expect(await readOverRest(page, id, '/srv/work/fresh.txt')).toBe('written here\n');
		});
	});
});

interface Late {
	/** Part of the path of the file whose content is to come late. */
	late?: string;
	/** Lets it come. */
	letGo?: () => void;
}

/** Lets a test hold back the content of a file, also after the page has given up the request. */
async function lendLateness(page: Page): Promise<void> {
	await page.addInitScript(() => {
		const control = window as unknown as Late;
		const send = window.fetch.bind(window);
		window.fetch = async (input, init) => {
			const request = new Request(input, init);
			const isRead = control.late !== undefined && request.url.endsWith('/stream/read');
			if (!isRead || !(await request.clone().text()).includes(control.late ?? '')) {
				return send(request);
			}
			const answer = await send(new Request(request, { signal: new AbortController().signal }));
			await new Promise<void>((pass) => (control.letGo = pass));
			return answer;
		};
	});
}

/** A pixel, as PNG and as SVG with a script that must not run. */
const PNG =
	'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==';
const SVG = `<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40" onload="parent.isHarmed = true">
	<script>window.isHarmed = true; top.isHarmed = true;</script><rect width="40" height="40"/></svg>`;

test('images are shown, what is no text is offered, and late answers are not taken', async ({
	page
}) => {
	test.slow();
	await lendLateness(page);
	await withCapsule(page, async (id) => {
		await openFolder(page, id, '/srv/work');

		await test.step('images, in which nothing runs', async () => {
			await upload(page, 'dot.png', Buffer.from(PNG, 'base64'));
			await upload(page, 'drawing.svg', SVG);
			for (const name of ['dot.png', 'drawing.svg']) {
				await choose(page, name);
				const image = preview(page).getByRole('img', { name });
				await expect(image).toBeVisible(PATIENCE);
				await expect(image).toHaveAttribute('src', /^blob:/);
				await expect
					.poll(() => image.evaluate((node) => (node as HTMLImageElement).naturalWidth))
					.toBeGreaterThan(0);
			}
			expect(await page.evaluate(() => 'isHarmed' in window)).toBe(false);
		});

		await test.step('a broken image and a large file are offered', async () => {
			await upload(page, 'broken.png', 'no image');
			await choose(page, 'broken.png');
			await expect(preview(page).getByText('cannot show this image')).toBeVisible(PATIENCE);
			await exec(page, id, 'yes | head -c 10485761 > /srv/work/large.txt');
			const reads: string[] = [];
			page.on('request', (request) => {
				if (request.url().endsWith('/read')) reads.push(request.url());
			});
			await choose(page, 'large.txt');
			await expect(preview(page).getByText('Files over 10 MB are not shown')).toBeVisible(PATIENCE);
			expect(reads).toEqual([]);
		});

		await test.step('the content is that of the file that was clicked last', async () => {
			const names = ['a.txt', 'b.txt', 'c.txt', 'd.txt'];
			await exec(page, id, `cd /srv/work && for f in ${names.join(' ')}; do echo in $f > $f; done`);
			await expect(file(page, 'd.txt')).toBeVisible(PATIENCE);
			// The earlier a file is clicked, the later its content comes.
			const held: (() => void)[] = [];
			await page.route('**/files/stream/read', async (route) => {
				const isLast = route.request().postData()?.includes('d.txt');
				if (!isLast) await new Promise<void>((release) => held.push(release));
				await route.continue().catch(() => undefined);
			});
			for (const name of names) await file(page, name).click();
			await expect(text(page)).toHaveText('in d.txt', PATIENCE);
			for (const release of held.reverse()) release();
			await page.unroute('**/files/stream/read');
			await expect(preview(page).getByRole('heading', { name: 'd.txt' })).toBeVisible();
			await choose(page, 'a.txt');
			await expect(text(page)).toHaveText('in a.txt', PATIENCE);

			// The same for an answer that is there already and cannot be given up any more.
			await page.evaluate(() => Object.assign(window, { late: 'b.txt' }));
			await file(page, 'b.txt').click();
			await page.waitForFunction(() => 'letGo' in window);
			await file(page, 'c.txt').click();
			await expect(text(page)).toHaveText('in c.txt', PATIENCE);
			await page.evaluate(async () => {
				(window as unknown as Late).letGo?.();
				await new Promise((pass) => requestAnimationFrame(() => setTimeout(pass)));
			});
			await expect(text(page)).toHaveText('in c.txt');
			await expect(preview(page).getByRole('heading', { name: 'c.txt' })).toBeVisible();
		});

		await test.step('files are dropped onto a folder of the tree', async () => {
			await exec(page, id, 'mkdir -p /srv/work/target');
			await expect(file(page, 'target')).toBeVisible(PATIENCE);
			const dataTransfer = await page.evaluateHandle(() => {
				const transfer = new DataTransfer();
				transfer.items.add(new File(['dropped'], 'dropped.txt'));
				return transfer;
			});
			await file(page, 'target').dispatchEvent('dragover', { dataTransfer });
			await expect(page.getByText('Drop to upload into')).toContainText('/srv/work/target');
			await file(page, 'target').dispatchEvent('drop', { dataTransfer });
			await expect
				.poll(() => exec(page, id, 'cat /srv/work/target/dropped.txt || true'), PATIENCE)
				.toBe('dropped');
		});

		await test.step('the divider moves with the keyboard', async () => {
			const divider = page.getByRole('separator', { name: 'Width of the tree' });
			const before = Number(await divider.getAttribute('aria-valuenow'));
			await divider.focus();
			await page.keyboard.press('ArrowRight');
			await expect(divider).toHaveAttribute('aria-valuenow', String(before + 2));
			await page.keyboard.press('Home');
			await expect(divider).toHaveAttribute('aria-valuenow', '15');
		});

		await test.step('a small screen shows the tree, then what is chosen', async () => {
			await page.setViewportSize({ width: 390, height: 800 });
			await page.getByRole('button', { name: 'Back to the tree' }).click();
			await expect(tree(page)).toBeVisible();
			await expect(preview(page)).toBeHidden();
			await file(page, 'a.txt').click();
			await expect(text(page)).toHaveText('in a.txt', PATIENCE);
			await expect(tree(page)).toBeHidden();
			const isWide = () => document.documentElement.scrollWidth > window.innerWidth;
			expect(await page.evaluate(isWide)).toBe(false);
		});
	});
});

/** Collects how long the page was busy at a time, from now on. */
async function observeLongTasks(page: Page): Promise<void> {
	await page.addInitScript(() => {
		const longTasks: number[] = [];
		new PerformanceObserver((list) => {
			for (const { duration } of list.getEntries()) longTasks.push(duration);
		}).observe({ type: 'longtask' });
		Object.assign(window, { longTasks });
	});
}

/** The longest task since this was asked the last time; 0 if none was long. */
function longestTaskMs(page: Page): Promise<number> {
	return page.evaluate(async () => {
		const { longTasks } = window as unknown as { longTasks: number[] };
		// The browser tells of a task when it is over.
		await new Promise((pass) => requestAnimationFrame(() => setTimeout(pass, 100)));
		return Math.max(0, ...longTasks.splice(0));
	});
}

/** The browser calls a task long from there on. */
const LONG_MS = 50;
const IDLE_FOR_MS = 3_000;

test('20,000 entries and 300,000 lines leave the page responsive', async ({ page }) => {
	test.slow();
	await observeLongTasks(page);
	await withCapsule(page, async (id) => {
		await exec(
			page,
			id,
			'mkdir -p /srv/work/many && cd /srv/work/many && seq -f f%05g 20000 | xargs touch && seq 300000 > /srv/work/long.txt'
		);
		await openFolder(page, id, '/srv/work');
		await expect(file(page, 'many')).toBeVisible(PATIENCE);
		await longestTaskMs(page);
		await page.evaluate((ms) => new Promise((pass) => setTimeout(pass, ms)), IDLE_FOR_MS);
		const idleMs = await longestTaskMs(page);
		const boundMs = 10 * Math.max(idleMs, LONG_MS);
		const measure = async (what: string) => {
			const longestMs = await longestTaskMs(page);
			console.log(`  ${what}: ${longestMs.toFixed(0)} ms at most, idle ${idleMs.toFixed(0)} ms`);
			expect(longestMs).toBeLessThanOrEqual(boundMs);
		};

		await test.step('a folder of 20,000 entries is unfolded and walked through', async () => {
			await file(page, 'many').click();
			await expect(file(page, 'f00001')).toBeVisible(PATIENCE);
			await measure('unfolding 20,000 entries');
			await tree(page).press('End');
			await expect(file(page, 'long.txt')).toBeInViewport();
			await tree(page).press('ArrowUp');
			await expect(file(page, 'f20000')).toBeInViewport();
			await page.keyboard.type('f123');
			await expect(file(page, 'f12300')).toBeInViewport();
			expect(await tree(page).getByRole('treeitem').count()).toBeLessThan(100);
			await measure('walking through them');
			await page.getByRole('button', { name: 'Size', exact: true }).click();
			await page.getByRole('button', { name: 'Name', exact: true }).click();
			await expect(file(page, 'f12300')).toBeAttached(PATIENCE);
			await measure('sorting them');
		});

		await test.step('a file of 300,000 lines is shown in part', async () => {
			await tree(page).press('End');
			const answered = page.waitForResponse('**/files/stream/read');
			await choose(page, 'long.txt');
			await answered;
			await expect(text(page)).toContainText('1\n2\n3', PATIENCE);
			await expect(page.getByTestId('file-cut')).toContainText(
				'Only the first 5,000 lines are shown'
			);
			await measure('showing 300,000 lines');
			const lines = page.getByTestId('file-lines');
			await lines.focus();
			await page.keyboard.press('End');
			await expect(preview(page).getByTestId('file-text').last()).toContainText('5000');
			await expect(preview(page).getByTestId('file-text').last()).toBeInViewport();
			await measure('scrolling to the end of them');
			await expect(page.getByRole('button', { name: 'Download the whole file' })).toBeVisible();
		});
	});
});
