/** Templates and builds of a team, as one of its members makes them, on real machines. */
import { expect, test, type Page } from '@playwright/test';
import { destroyCapsule, open, row, run, shownCapsule, signUp, stranger } from './dashboard';

const BUILT = { timeout: 150_000 };
const PATIENCE = { timeout: 60_000 };

const tabs = (page: Page) => page.getByRole('navigation', { name: 'Templates and builds' });
const recipe = (page: Page) => page.getByRole('textbox', { name: 'Recipe' });

async function fillInBuild(page: Page, name: string, text: string): Promise<void> {
	await page.getByRole('button', { name: 'New build' }).click();
	await page.getByLabel('Name of the template').fill(name);
	await recipe(page).fill(text);
	await page.getByRole('checkbox', { name: /skip_pre_post/ }).check();
}

test('a member builds a template for the team, uses it and deletes it', async ({ page }) => {
	test.setTimeout(480_000);
	const name = `team-journey-${Date.now().toString(36)}`;
	const line = `RUN printf 'a   b\\n  %s\\n' ${name} | tee /srv/note`;
	await signUp(page, stranger());
	await open(page, 'Templates');

	await test.step('the platform’s template can be used, and not deleted', async () => {
		const minimal = row(page, 'minimal');
		await expect(minimal).toContainText('platform');
		await expect(minimal.getByRole('button', { name: 'Create a capsule' })).toBeEnabled();
		await expect(minimal.getByRole('button', { name: 'More for minimal' })).toBeDisabled();
	});

	await test.step('there are no builds yet', async () => {
		await tabs(page).getByRole('link', { name: 'Builds' }).click();
		await expect(page.getByText('No builds yet.')).toBeVisible();
	});

	await test.step('a recipe is written from the keyboard', async () => {
		await fillInBuild(page, name, '');
		await recipe(page).focus();
		await page.keyboard.type(line);
		const keyword = page.getByTestId('recipe-colors').getByText('RUN', { exact: true });
		await expect(keyword).toHaveAttribute('data-token', 'RUN');
		await page.keyboard.press('Tab');
		await expect(page.getByRole('button', { name: 'Choose' })).toBeFocused();
		await expect(recipe(page)).toHaveValue(line);
		await page.getByRole('button', { name: 'Start build' }).click();
	});

	await test.step('it is watched to its end', async () => {
		await expect(page).toHaveURL(/\/dashboard\/templates\/builds\/bld-/, PATIENCE);
		await expect(page.getByTestId('status')).toHaveText('success', BUILT);
		const steps = page.getByRole('region', { name: 'Steps' });
		await steps.getByRole('button', { name: 'RUN printf' }).click();
		await expect(page.getByRole('log', { name: 'Output of step 1' })).toContainText(
			`a   b\n  ${name}\n`
		);
	});

	await test.step('the list has it, with its steps and its recipe', async () => {
		await page
			.getByRole('navigation', { name: 'Where you are' })
			.getByRole('link', { name: 'Builds' })
			.click();
		await expect(row(page, name)).toContainText('success');
		const unfold = page.getByRole('button', { name: `Steps of the build of ${name}` });
		await unfold.press('Enter');
		await page.getByRole('button', { name: 'RUN printf' }).click();
		await expect(page.getByRole('log', { name: 'Output of step 1' })).toContainText(`  ${name}\n`);
		await unfold.press('Enter');
		await expect(page.getByRole('log')).toHaveCount(0);
		await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
		await page.getByRole('button', { name: `Copy recipe of ${name}` }).click();
		await expect(page.getByText('The recipe is copied')).toBeVisible();
		expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(line);
	});

	await test.step('it is found among the templates', async () => {
		await tabs(page).getByRole('link', { name: 'Templates' }).click();
		await expect(row(page, name)).toContainText('your team');
		await page.getByRole('searchbox').fill(name);
		await expect(row(page, 'minimal')).toHaveCount(0);
		await page.getByLabel('Type', { exact: true }).selectOption('snapshot');
		await expect(page.getByText('No template matches.')).toBeVisible();
		await page.getByRole('button', { name: 'Show all' }).click();
		await expect(row(page, 'minimal')).toBeVisible();
		await row(page, name)
			.getByRole('link', { name: `Show the build of ${name}` })
			.click();
		await expect(page.getByTestId('status')).toHaveText('success', PATIENCE);
		await page.goBack();
	});

	await test.step('a capsule is made from it', async () => {
		await row(page, name).getByRole('button', { name: 'Create a capsule' }).click();
		const dialog = page.getByRole('dialog');
		await expect(dialog.getByLabel('Template')).toHaveValue(name);
		await dialog.getByRole('button', { name: 'Create', exact: true }).click();
		await expect(page).toHaveURL(/\/capsules\/cl-/);
		const id = shownCapsule(page);
		try {
			await expect(page.getByRole('button', { name: 'Pause' })).toBeEnabled({ timeout: 90_000 });
			expect(await run(page, 'cat /srv/note')).toContain(name);
		} finally {
			await page.goto('/dashboard/capsules/list');
			await destroyCapsule(page, id);
		}
	});

	await test.step('it is deleted, after a question', async () => {
		await open(page, 'Templates');
		await page.getByRole('button', { name: `More for ${name}` }).press('Enter');
		await page.getByRole('menuitem', { name: `Delete ${name}` }).press('Enter');
		const question = page.getByRole('alertdialog');
		await expect(question).toContainText('its disk cannot be brought back');
		await expect(question).toContainText('stay as they are');
		await question.getByRole('button', { name: 'Cancel' }).click();
		await expect(row(page, name)).toBeVisible();
		await expect(page.getByRole('button', { name: `More for ${name}` })).toBeFocused();
		await page.keyboard.press('Enter');
		await page.getByRole('menuitem', { name: `Delete ${name}` }).click();
		await question.getByRole('button', { name: 'Delete' }).click();
		await expect(question).toHaveCount(0, PATIENCE);
		await expect(row(page, name)).toHaveCount(0);
	});
});

test('what is wrong with a recipe is shown at its line, and nothing is lost', async ({ page }) => {
	await signUp(page, stranger());
	await page.goto('/dashboard/templates/builds');
	const text = ['# nothing', 'RUN true \\', '  && true', 'EXPOSE 80'].join('\n');
	await fillInBuild(page, 'never-built', text);

	await test.step('while it is typed', async () => {
		const faults = page.getByTestId('recipe-fault');
		await expect(faults).toHaveText(['EXPOSE 80']);
		await expect(page.getByText(/^Line 4: .*EXPOSE/)).toBeVisible();
		await recipe(page).fill(`RNU true\n${text}`);
		await expect(faults).toHaveText(['RNU true', 'EXPOSE 80']);
		await recipe(page).fill(text.replace('EXPOSE', 'RUN echo'));
		await expect(faults).toHaveCount(0);
		await recipe(page).fill(text);
	});

	await test.step('a reload loses nothing of it', async () => {
		await page.reload();
		await expect(page.getByText('This is what you typed before.')).toBeVisible();
		await expect(recipe(page)).toHaveValue(text);
		await expect(page.getByLabel('Name of the template')).toHaveValue('never-built');
		await expect(page.getByRole('checkbox', { name: /skip_pre_post/ })).toBeChecked();
	});

	await page.getByRole('button', { name: 'Start build' }).click();
	await expect(page.getByText(/^line 4: .*EXPOSE/)).toBeVisible();
	await expect(recipe(page)).toBeFocused();
	await expect(recipe(page)).toHaveValue(text);
	const caret = await recipe(page).evaluate((field: HTMLTextAreaElement) => field.selectionStart);
	expect(caret).toBe(text.indexOf('EXPOSE'));

	await test.step('the colours stay below the text when it is scrolled', async () => {
		await recipe(page).fill(`RUN echo ${'word '.repeat(80)}\nUSER nobody`);
		const scrolled = () => recipe(page).evaluate((field) => field.scrollLeft);
		await recipe(page).press('Home');
		await recipe(page).press('ArrowUp');
		await recipe(page).press('End');
		await expect.poll(scrolled).toBeGreaterThan(100);
		const wanted = `${-(await scrolled())}px`;
		await expect(page.getByTestId('recipe-colors')).toHaveCSS('translate', wanted);
	});

	await page.getByLabel('Name of the template').fill('minimal');
	await recipe(page).fill('RUN true');
	await page.getByRole('button', { name: 'Start build' }).click();
	await expect(page.getByText(/`minimal` belongs to/)).toBeVisible();
});

test('what was typed and not sent is kept, until it is given up', async ({ page }) => {
	await signUp(page, stranger());
	await page.goto('/dashboard/templates/builds');
	await fillInBuild(page, 'a-draft', 'RUN true');
	await page
		.getByRole('navigation', { name: 'Where you are' })
		.getByRole('link', { name: 'Builds' })
		.click();
	await page.getByRole('button', { name: 'New build' }).click();
	await expect(recipe(page)).toHaveValue('RUN true');
	await page.getByRole('button', { name: 'Start over' }).click();
	await expect(recipe(page)).toHaveValue('');
	await recipe(page).fill('RUN false');
	await page.getByRole('button', { name: 'Cancel' }).click();
	await page.getByRole('button', { name: 'New build' }).click();
	await expect(recipe(page)).toHaveValue('');
	await expect(page.getByText('This is what you typed before.')).toHaveCount(0);
});
