/** The first day of a new user, from the account to a machine that was copied with its memory. */
import { expect, test } from '@playwright/test';
import {
	call,
	createCapsule,
	destroyCapsule,
	open,
	openTab,
	row,
	shownCapsule,
	signUp,
	stranger,
	waitUntilRunning
} from './dashboard';

/** Programs start slowly in emulated machines. */
const PATIENCE = { timeout: 60_000 };
const BOOTED = { timeout: 90_000 };

test('somebody signs up, works in a capsule, pauses it, and goes on in a copy', async ({
	page
}) => {
	test.setTimeout(420_000);
	const template = `first-day-${Date.now().toString(36)}`;
	await signUp(page, stranger());
	const id = await createCapsule(page);
	const pause = page.getByRole('button', { name: 'Pause', exact: true });
	const terminal = page.locator('.xterm-rows');
	const type = async (line: string) => {
		await page.getByRole('textbox', { name: 'Terminal input' }).focus();
		await page.keyboard.type(line);
		await page.keyboard.press('Enter');
	};

	await test.step('a terminal answers', async () => {
		await waitUntilRunning(page, id);
		await page.getByRole('link', { name: id }).click();
		await openTab(page, 'Terminal');
		await expect(page.getByTestId('terminal-status')).toHaveText('connected', PATIENCE);
		await type('echo kept > /dev/shm/memory; echo typed-$((6 * 7))');
		await expect(terminal).toContainText('typed-42', PATIENCE);
	});

	await test.step('a file that is written in the browser is read over REST', async () => {
		await page.goto(`/dashboard/capsules/${id}/files?path=/root`);
		await page.getByRole('button', { name: 'New file' }).click(PATIENCE);
		await page.getByRole('textbox', { name: 'Name' }).fill('note.txt');
		await page.keyboard.press('Enter');
		await page.getByRole('button', { name: 'Edit note.txt' }).click(PATIENCE);
		const field = page.getByRole('textbox', { name: 'Edit the text of note.txt' });
		await field.fill('written in the browser\n');
		await field.press('Control+s');
		await expect(page.getByText('/root/note.txt is saved')).toBeVisible(PATIENCE);
		const read = await call(page, 'POST', `/v1/capsules/${id}/files/read`, {
			path: '/root/note.txt'
		});
		expect(await read.text()).toBe('written in the browser\n');
	});

	await test.step('it is paused, and goes on where it was', async () => {
		await pause.click();
		const resume = page.getByRole('button', { name: 'Resume', exact: true }).first();
		await expect(resume).toBeEnabled(PATIENCE);
		await expect(page.getByTestId('running-badge')).toHaveCount(0);
		await resume.click();
		await expect(pause).toBeEnabled(BOOTED);
		await openTab(page, 'Terminal');
		await expect(page.getByTestId('terminal-status')).toHaveText('connected', PATIENCE);
		await type('cat /dev/shm/memory');
		await expect(terminal).toContainText('kept', PATIENCE);
	});

	await test.step('a template is made of it', async () => {
		await page.getByRole('button', { name: 'Make a template' }).click();
		const dialog = page.getByRole('dialog');
		await dialog.getByRole('textbox', { name: 'Name' }).fill(template);
		await dialog.getByRole('button', { name: 'Make template' }).click();
		await expect(dialog).toHaveCount(0, PATIENCE);
	});

	const copy = await test.step('a copy has its memory and its files', async () => {
		await open(page, 'Templates');
		await row(page, template).getByRole('button', { name: 'Create a capsule' }).click();
		await page.getByRole('dialog').getByRole('button', { name: 'Create', exact: true }).click();
		await expect(page).toHaveURL(/\/capsules\/cl-/);
		await expect(pause).toBeEnabled(BOOTED);
		const copy = shownCapsule(page);
		expect(copy).not.toBe(id);
		const read = await call(page, 'POST', `/v1/capsules/${copy}/exec`, {
			cmd: 'cat /dev/shm/memory /root/note.txt'
		});
		expect(await read.json()).toMatchObject({ stdout: 'kept\nwritten in the browser\n' });
		return copy;
	});

	await test.step('everything is destroyed', async () => {
		await open(page, 'Capsules');
		await destroyCapsule(page, id);
		await destroyCapsule(page, copy);
		await expect(page.getByRole('heading', { name: 'No capsules yet' })).toBeVisible();
	});
});
