/** Takes the pictures, and finds the faults that a program can see. */
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { violations } from '../accessible';
import { pictureName, picturesFolder, STATES, WIDTHS, type Width } from './folder';
import { PICTURES, ROUTES, unpictured, type Overlay, type Picture } from './pages';
import { Scene } from './scene';
import { world } from './world';

/** The greatest sum of layout shifts that nobody notices. */
const SHIFT_BOUND = 0.02;
/** Long lists are cut off. */
const LONGEST = 2_400;
const OPENED_WITHIN_MS = 15_000;
const OVERLAY = '[role=dialog], [role=alertdialog], [role=menu], [data-popover-content]';

const folder = picturesFolder();

test('every page is pictured', () => {
	expect(unpictured(ROUTES)).toEqual([]);
});

for (const picture of PICTURES) {
	for (const state of picture.states ?? STATES) {
		if (state === 'filled') continue;
		test(`${picture.name}: ${state}`, async ({ browser }) => {
			const scene = await Scene.open(browser, picture, state, WIDTHS[0]);
			for (const width of WIDTHS) {
				await scene.resize(width);
				await take(scene, picture.name, state, width);
			}
			await scene.close();
		});
	}
	if (picture.states && !picture.states.includes('filled')) continue;
	for (const width of WIDTHS) {
		test(`${picture.name}: filled, ${width} wide`, async ({ browser }) => {
			const scene = await Scene.open(browser, picture, 'filled', width);
			await take(scene, picture.name, 'filled', width);
			const { sum, moved } = await scene.shifts();
			expect.soft(sum, `the page moves: ${moved.join('; ')}`).toBeLessThanOrEqual(SHIFT_BOUND);
			expect.soft(await violations(scene.page), 'accessibility').toEqual([]);
			for (const overlay of overlaysOf(picture, width)) await open(scene, picture, overlay, width);
			expect.soft(scene.failures, 'what failed').toEqual([]);
			await scene.close();
		});
	}
}

async function take(scene: Scene, name: string, view: string, width: Width): Promise<void> {
	const path = join(folder, pictureName(name, view, width));
	const length = await scene.page.evaluate(() => document.documentElement.scrollHeight);
	const clip = { x: 0, y: 0, width, height: Math.min(length, LONGEST) };
	await scene.page.screenshot({ path, fullPage: true, clip });
	expect.soft(await scene.tooWide(), `${name}, ${view}: scrolls sideways`).toEqual([]);
}

function overlaysOf({ overlays = [] }: Picture, width: Width): readonly Overlay[] {
	const left = width === WIDTHS[0] ? 'phone' : 'desk';
	return overlays.filter(({ only }) => only !== left);
}

/** Opens something over the page, looks at it, and closes it with Escape. */
async function open(scene: Scene, { name }: Picture, overlay: Overlay, width: Width) {
	const { page } = scene;
	const opened = page.locator(OVERLAY);
	await overlay.open(page, world());
	await expect(opened.first()).toBeVisible({ timeout: OPENED_WITHIN_MS });
	await scene.settle();
	const path = join(folder, pictureName(name, overlay.name, width));
	await page.screenshot({ path });
	expect.soft(await scene.tooWide(), `${overlay.name}: scrolls sideways`).toEqual([]);
	expect.soft(await violations(page, OVERLAY), `accessibility of ${overlay.name}`).toEqual([]);
	await page.keyboard.press('Escape');
	await expect(opened).toHaveCount(0);
}
