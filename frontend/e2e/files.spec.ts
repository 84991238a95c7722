/** The files of real capsules, in the browser. */
import { readFile } from 'node:fs/promises';
import { expect, test, type Page } from '@playwright/test';
import {
	admin,
	createCapsule,
	destroyCapsule,
	exec,
	openTab,
	signIn,
	waitUntilRunning
} from './dashboard';

const PATIENCE = { timeout: 60_000 };

function file(page: Page, name: string) {
	return page.getByRole('row').filter({ hasText: name });
}

async function upload(page: Page, name: string, content: Buffer | string): Promise<void> {
	const buffer = Buffer.from(content);
	await page
		.getByLabel('Files to upload')
		.setInputFiles({ name, mimeType: 'application/octet-stream', buffer });
}

test('files are uploaded, seen, downloaded, renamed, watched and deleted', async ({ page }) => {
	test.slow();
	await signIn(page, admin());
	const id = await createCapsule(page);

	try {
		await waitUntilRunning(page, id);
		await exec(page, id, 'mkdir -p /srv/work && chmod 777 /srv/work');
		await page.goto(`/capsules/${id}/files?path=/srv/work`);
		await expect(page.getByText('This folder is empty')).toBeVisible(PATIENCE);

		await test.step('a file is uploaded and shown', async () => {
			await upload(page, 'notes.txt', 'größe\nline two\n');
			await expect(file(page, 'notes.txt')).toBeVisible(PATIENCE);
			await expect(file(page, 'notes.txt')).toContainText('-rw-');
			await page.getByRole('button', { name: 'notes.txt', exact: true }).click();
			await expect(page.getByTestId('file-text')).toHaveText('größe\nline two\n', PATIENCE);
			await page.keyboard.press('Escape');
		});

		await test.step('the same name is only replaced when that is meant', async () => {
			await upload(page, 'notes.txt', 'new\n');
			await page.getByRole('alertdialog').getByRole('button', { name: 'Replace' }).click();
			const size = file(page, 'notes.txt').getByTitle('4 bytes');
			await expect(size).toBeVisible(PATIENCE);
		});

		await test.step('bytes come back as they went', async () => {
			const bytes = Buffer.from(Array.from({ length: 3_000_000 }, (_, at) => (at * 7) % 256));
			await upload(page, 'data.bin', bytes);
			await expect(file(page, 'data.bin')).toBeVisible(PATIENCE);
			const downloading = page.waitForEvent('download', PATIENCE);
			await page.getByRole('button', { name: 'Download data.bin' }).click();
			const download = await downloading;
			expect(download.suggestedFilename()).toBe('data.bin');
			expect((await readFile(await download.path())).equals(bytes)).toBe(true);
		});

		await test.step('what happens inside shows by itself', async () => {
			await expect(page.getByTitle('Changes show as they happen')).toBeVisible(PATIENCE);
			await exec(page, id, 'echo hello > /srv/work/from-inside');
			await expect(file(page, 'from-inside')).toBeVisible(PATIENCE);
		});

		await test.step('a file is renamed, but not onto another', async () => {
			await page.getByRole('button', { name: 'Rename from-inside' }).click();
			const dialog = page.getByRole('dialog');
			await dialog.getByLabel('Name').fill('notes.txt');
			await dialog.getByRole('button', { name: 'Rename' }).click();
			await expect(dialog.getByRole('alert')).toContainText('conflict');
			await dialog.getByLabel('Name').fill('moved');
			await dialog.getByRole('button', { name: 'Rename' }).click();
			await expect(dialog).toHaveCount(0, PATIENCE);
			await expect(file(page, 'moved')).toBeVisible();
			await expect(file(page, 'from-inside')).toHaveCount(0);
		});

		await test.step('a folder is made, opened and left by its crumbs', async () => {
			await page.getByRole('button', { name: 'New folder' }).click();
			const dialog = page.getByRole('dialog');
			await dialog.getByLabel('Name').fill('inner');
			await dialog.getByRole('button', { name: 'Make folder' }).click();
			await page.getByRole('link', { name: 'inner' }).click();
			await expect(page.getByText('This folder is empty')).toBeVisible(PATIENCE);
			await expect(page).toHaveURL(/path=%2Fsrv%2Fwork%2Finner/);
			const crumbs = page.getByRole('navigation', { name: 'Folder' });
			await crumbs.getByRole('link', { name: 'work' }).click();
			await expect(file(page, 'moved')).toBeVisible(PATIENCE);
		});

		await test.step('they are deleted after a question', async () => {
			for (const name of ['moved', 'inner']) {
				await page.getByRole('button', { name: `Delete ${name}` }).click();
				await page.getByRole('alertdialog').getByRole('button', { name: 'Delete' }).click();
				await expect(file(page, name)).toHaveCount(0, PATIENCE);
			}
		});

		await test.step('what cannot be done is said', async () => {
			await page.goto(`/capsules/${id}/files?path=/srv/nowhere`);
			await expect(page.getByRole('alert')).toContainText('not_found');
		});

		await test.step('without a path it is the user’s home', async () => {
			await openTab(page, 'Overview');
			await openTab(page, 'Files');
			await expect(page).toHaveURL(/path=%2F(root|home)/);
		});
	} finally {
		await page.goto('/capsules');
		await destroyCapsule(page, id);
	}
});
