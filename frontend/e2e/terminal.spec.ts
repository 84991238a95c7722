/** Terminals in the browser, against shells in real capsules. */
import { expect, test, type Locator, type Page } from '@playwright/test';
import {
	admin,
	createCapsule,
	cutSockets,
	destroyCapsule,
	keepSockets,
	openTab,
	signIn,
	waitUntilRunning
} from './dashboard';

/** What the terminal shows. */
const screen = (page: Page) => page.locator('.xterm-rows');
const status = (page: Page) => page.getByTestId('terminal-status');

/** Programs start slowly in emulated machines. */
const PATIENCE = { timeout: 60_000 };

async function type(page: Page, line: string): Promise<void> {
	await page.getByRole('textbox', { name: 'Terminal input' }).focus();
	await page.keyboard.type(line);
	await page.keyboard.press('Enter');
}

/** Writes down every text that an element has from now on; returns the way to read them. */
async function recordTexts(element: Locator): Promise<() => Promise<string[]>> {
	const texts = await element.evaluateHandle((node) => {
		const seen: string[] = [];
		new MutationObserver(() => seen.push(node.textContent ?? '')).observe(node, {
			...{ subtree: true, childList: true, characterData: true }
		});
		return seen;
	});
	return () => texts.jsonValue();
}

async function isConnected(page: Page): Promise<void> {
	await expect(status(page)).toHaveText('connected', PATIENCE);
}

/** The columns and rows that the page says the terminal has. */
async function shownSize(page: Page): Promise<{ cols: number; rows: number }> {
	const text = await page.getByTitle('Columns and rows').innerText();
	const [cols, rows] = text.split('×').map(Number);
	return { cols: cols ?? 0, rows: rows ?? 0 };
}

async function sizeIsKnownInside(page: Page, mark: string): Promise<void> {
	const { cols, rows } = await shownSize(page);
	await type(page, `echo ${mark} $(stty size)`);
	await expect(screen(page)).toContainText(`${mark} ${rows} ${cols}`, PATIENCE);
}

test('terminals are typed into, resized, cut off, taken up again and ended', async ({ page }) => {
	test.slow();
	await keepSockets(page);
	await signIn(page, admin());
	const id = await createCapsule(page);

	try {
		await waitUntilRunning(page, id);
		await page.getByRole('link', { name: id }).click();
		await openTab(page, 'Terminal');
		await isConnected(page);

		await test.step('what is typed runs, in every script', async () => {
			await type(page, 'echo $((6 * 7)) größe 漢字; kept=here');
			await expect(screen(page)).toContainText('42 größe 漢字', PATIENCE);
		});

		await test.step('Ctrl-C interrupts', async () => {
			// It says itself that it is in the foreground; the quotes tell what it prints from what is typed.
			await type(page, `sh -c 'echo be""gun; exec sleep 1000'`);
			await expect(screen(page)).toContainText('begun', PATIENCE);
			await page.keyboard.press('Control+c');
			await type(page, 'echo code $?');
			await expect(screen(page)).toContainText('code 130', PATIENCE);
		});

		await test.step('the program knows the size of the window', async () => {
			await sizeIsKnownInside(page, 'before');
			const before = await shownSize(page);
			await page.setViewportSize({ width: 900, height: 600 });
			await expect.poll(() => shownSize(page)).not.toEqual(before);
			await sizeIsKnownInside(page, 'after');
			await page.setViewportSize({ width: 1280, height: 800 });
		});

		await test.step('a program may have the whole screen', async () => {
			await type(page, 'top');
			await expect(screen(page)).toContainText('load average', PATIENCE);
			await expect(screen(page)).toContainText('COMMAND');
			await expect(screen(page)).not.toContainText('code 130');
			await page.keyboard.press('q');
			await type(page, 'echo back $kept');
			await expect(screen(page)).toContainText('back here', PATIENCE);
		});

		await test.step('a cut connection comes back to the same shell', async () => {
			const texts = await recordTexts(status(page));
			await cutSockets(page);
			// The text may stand there for a moment only.
			await expect.poll(async () => (await texts()).join(), PATIENCE).toContain('reconnect');
			await isConnected(page);
			await expect(screen(page)).toContainText('back here', PATIENCE);
			await type(page, 'echo again $kept');
			await expect(screen(page)).toContainText('again here', PATIENCE);
		});

		await test.step('a second one ends by itself, with its exit code', async () => {
			await page.getByRole('button', { name: 'New terminal', exact: true }).click();
			await isConnected(page);
			await expect(page.getByRole('tab')).toHaveCount(2);
			await type(page, 'exit 3');
			await expect(status(page)).toHaveText('ended with exit code 3', PATIENCE);
			await page.getByRole('button', { name: 'Close', exact: true }).first().click();
			await expect(page.getByRole('tab')).toHaveCount(1);
		});

		await test.step('a page that is loaded again finds its terminal', async () => {
			await page.reload();
			await isConnected(page);
			await type(page, 'echo reloaded $kept');
			await expect(screen(page)).toContainText('reloaded here', PATIENCE);
		});

		await test.step('one that is left runs on, and is taken up', async () => {
			await page.getByRole('button', { name: /^Detach/ }).click();
			await page.getByRole('button', { name: 'Take up' }).click({ timeout: 20_000 });
			await isConnected(page);
			await type(page, 'echo taken $kept');
			await expect(screen(page)).toContainText('taken here', PATIENCE);
		});

		await test.step('it sleeps with its capsule, and wakes with it', async () => {
			await page.getByRole('button', { name: 'Pause' }).click();
			await expect(status(page)).toContainText('paused', PATIENCE);
			await page.getByRole('button', { name: 'Resume' }).last().click();
			await expect(page.getByRole('button', { name: 'Pause' })).toBeEnabled(PATIENCE);
			await isConnected(page);
			await type(page, 'echo woken $kept');
			await expect(screen(page)).toContainText('woken here', PATIENCE);
		});

		await test.step('it is ended from outside', async () => {
			await page.getByRole('button', { name: 'End the program' }).click();
			await page.getByRole('alertdialog').getByRole('button', { name: 'End' }).click();
			await expect(status(page)).toHaveText('ended with exit code 137', PATIENCE);
			await page.getByRole('button', { name: 'New terminal' }).last().click();
			await isConnected(page);
		});
	} finally {
		await page.goto('/capsules');
		await destroyCapsule(page, id);
	}
});
