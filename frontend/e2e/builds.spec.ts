/** Builds of templates, as an admin of the platform makes them, on real machines. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, type Page } from '@playwright/test';
import {
	admin,
	destroyCapsule,
	row,
	run,
	shownCapsule,
	signIn,
	signUp,
	stranger
} from './dashboard';

const BUILDS = '/admin/templates/builds';
const TEMPLATES = '/admin/templates';

/** A machine is booted, and its disk made a template. */
const BUILT = { timeout: 150_000 };
const PATIENCE = { timeout: 60_000 };

function unusedName(): string {
	return `journey-${Date.now().toString(36)}`;
}

/** Opens the form and fills it in; without what needs the internet, so that it is quick. */
async function fillInBuild(page: Page, name: string, recipe: readonly string[]): Promise<void> {
	await page.goto(BUILDS);
	await page.getByRole('button', { name: 'New build' }).click();
	await page.getByLabel('Name of the template').fill(name);
	await page.getByRole('textbox', { name: 'Recipe' }).fill(recipe.join('\n'));
	await page.getByRole('checkbox', { name: /skip_pre_post/ }).check();
}

async function start(page: Page): Promise<void> {
	await page.getByRole('button', { name: 'Start build' }).click();
	await expect(page.getByRole('region', { name: 'Steps' })).toBeVisible(PATIENCE);
}

const status = (page: Page) => page.getByTestId('status');
const step = (page: Page, number: number) => page.locator(`[data-step="${number}"]`);
const output = (page: Page, number: number) =>
	page.getByRole('log', { name: `Output of step ${number}`, exact: true });

async function deleteTemplate(page: Page, name: string): Promise<void> {
	await page.goto(TEMPLATES);
	await page.getByRole('button', { name: `More for ${name}` }).click();
	await page.getByRole('menuitem', { name: `Delete ${name}` }).click();
	await page.getByRole('alertdialog').getByRole('button', { name: 'Delete' }).click();
	await expect(page.getByRole('alertdialog')).toHaveCount(0, PATIENCE);
	await expect(row(page, name)).toHaveCount(0);
}

/** Gives an archive with one file to a test. */
async function withArchive(text: string, use: (file: string) => Promise<void>): Promise<void> {
	const folder = await mkdtemp(join(tmpdir(), 'wrenn-journey-'));
	try {
		const file = join(folder, 'app.tar.gz');
		await writeFile(join(folder, 'greeting.txt'), text);
		execFileSync('tar', ['-C', folder, '-czf', file, 'greeting.txt']);
		await use(file);
	} finally {
		await rm(folder, { recursive: true });
	}
}

async function chooseArchive(page: Page, file: string): Promise<void> {
	await page.getByLabel('Archive', { exact: true }).last().setInputFiles(file);
	await expect(page.getByText('app.tar.gz')).toBeVisible();
}

test('an admin builds a template with an archive, watches its log live, and cancels another', async ({
	page
}) => {
	test.setTimeout(720_000);
	const name = unusedName();
	// The text is of its own, so that no earlier journey has come to the same.
	await withArchive(`hello ${name}\n`, (file) => buildAndCancel(page, name, file));
});

async function buildAndCancel(page: Page, name: string, file: string): Promise<void> {
	const recipe = [
		'COPY greeting.txt /srv/',
		'RUN cat /srv/greeting.txt; seq 1 2000',
		'ENV GREETING=good-day',
		'RUN for i in $(seq 1 60); do echo tick $i; sleep 0.5; done'
	];
	await signIn(page, admin());

	await test.step('a fault in the recipe is shown at its line', async () => {
		await fillInBuild(page, name, ['# nothing', 'RUN true', 'RNU echo hello']);
		await page.getByRole('button', { name: 'Start build' }).click();
		await expect(page.getByText(/^line 3: /)).toBeVisible();
		await expect(page.getByRole('textbox', { name: 'Recipe' })).toBeFocused();
		await page.getByRole('textbox', { name: 'Recipe' }).fill(recipe.join('\n'));
	});

	await test.step('what it copies comes from an archive', async () => {
		await chooseArchive(page, file);
		await start(page);
	});

	await test.step('its output appears while it runs', async () => {
		await expect(output(page, 4)).toContainText('tick 1\n', BUILT);
		await expect(status(page)).toHaveText('running');
		await expect(page.getByText('live', { exact: true })).toBeVisible();
		const before = (await output(page, 4).innerText()).length;
		await expect
			.poll(async () => (await output(page, 4).innerText()).length)
			.toBeGreaterThan(before);
		await expect(step(page, 1).getByTestId('step-state')).toHaveText('done');
		await expect(output(page, 1)).toHaveCount(0);
	});

	await test.step('a reload in the middle loses nothing', async () => {
		await page.reload();
		await expect(output(page, 4)).toContainText('tick 1\n', PATIENCE);
		await step(page, 2).getByRole('button', { expanded: false }).click();
		await expect(output(page, 2)).toContainText(`hello ${name}\n1\n2\n`);
		await expect(output(page, 2)).toContainText('1999\n2000');
		await expect(status(page)).toHaveText('running');
	});

	await test.step('the list shows how far it is', async () => {
		await page.goto(BUILDS);
		await expect(row(page, name)).toContainText('step 4 of 4');
		await expect(row(page, name).getByRole('progressbar').first()).toBeAttached();
		await row(page, name)
			.getByRole('button', { name: `Steps of the build of ${name}` })
			.click();
		const steps = page.getByRole('region', { name: 'Steps' });
		await steps.getByRole('button', { name: 'RUN cat' }).click();
		await expect(output(page, 2)).toContainText('1999\n2000');
		await row(page, name).getByRole('link', { name, exact: true }).click();
		await expect(page.getByRole('region', { name: 'Steps' })).toBeVisible();
		await expect(status(page)).toHaveText('success', BUILT);
		await expect(output(page, 4)).toHaveCount(0);
	});

	await test.step('a capsule is made from it', async () => {
		await page
			.getByRole('navigation', { name: 'Where you are' })
			.getByRole('link', { name: 'Templates' })
			.click();
		await expect(row(page, name)).toContainText('platform');
		await row(page, name).getByRole('button', { name: 'Create a capsule' }).click();
		await page.getByRole('dialog').getByRole('button', { name: 'Create', exact: true }).click();
		await expect(page).toHaveURL(/\/capsules\/cl-/);
		await expect(page.getByRole('button', { name: 'Pause' })).toBeEnabled({ timeout: 90_000 });
		expect(await run(page, 'echo $GREETING')).toContain('good-day');
		const id = shownCapsule(page);
		await page.goto('/dashboard/capsules/list');
		await destroyCapsule(page, id);
	});

	await test.step('started again, it runs nothing that it has run before', async () => {
		await page.goto(BUILDS);
		await row(page, name)
			.getByRole('button', { name: /^Start/ })
			.click();
		await expect(page.getByRole('textbox', { name: 'Recipe' })).toHaveValue(recipe.join('\n'));
		await expect(page.getByRole('checkbox', { name: /skip_pre_post/ })).toBeChecked();
		await expect(page.getByText('choose it again')).toBeVisible();
		await chooseArchive(page, file);
		await start(page);
		await expect(step(page, 4)).toContainText('cached', BUILT);
		await expect(status(page)).toHaveText('success', BUILT);
	});

	await test.step('another is cancelled, after a question', async () => {
		await fillInBuild(page, `${name}-2`, ['RUN echo begun; sleep 600']);
		await start(page);
		await expect(output(page, 1)).toContainText('begun', BUILT);
		await page.getByRole('button', { name: 'Cancel' }).click();
		const question = page.getByRole('alertdialog');
		await question.getByRole('button', { name: 'Let it go on' }).click();
		await expect(status(page)).toHaveText('running');
		await page.getByRole('button', { name: 'Cancel' }).click();
		await question.getByRole('button', { name: 'Cancel the build' }).click();
		await expect(question).toHaveCount(0, PATIENCE);
		await expect(status(page)).toHaveText('cancelled', PATIENCE);
		await expect(step(page, 1).getByTestId('step-state')).not.toHaveText('running');
		await expect(page.getByRole('button', { name: 'Start again' })).toBeVisible();
	});

	await test.step('the list shows both as they ended', async () => {
		await page.goto(BUILDS);
		await expect(row(page, `${name}-2`)).toContainText('cancelled');
		await expect(row(page, name).filter({ hasText: 'success' })).toHaveCount(2);
	});

	await test.step('it is deleted', () => deleteTemplate(page, name));
}

test('a build that fails says where, why, and what was printed last', async ({ page }) => {
	await signIn(page, admin());
	await fillInBuild(page, unusedName(), ['RUN true', 'RUN echo before; echo broken >&2; exit 7']);
	await start(page);
	await expect(status(page)).toHaveText('failed', BUILT);

	const problem = page.getByRole('region', { name: 'What is the matter' });
	await expect(problem).toContainText('RUN echo before; echo broken >&2; exit 7');
	await expect(problem).toContainText('broken');
	await expect(step(page, 2)).toContainText('exit 7');
	await expect(output(page, 2)).toContainText('before\n');
	await expect(output(page, 2).locator('[data-stream="stderr"]')).toContainText('broken');
	await expect(output(page, 1)).toHaveCount(0);
});

test('builds of the platform are for its admins', async ({ page }) => {
	await signUp(page, stranger());
	await expect(page.getByRole('link', { name: 'Administration' })).toHaveCount(0);
	// The second half are the addresses of older versions.
	const paths = [BUILDS, `${BUILDS}/new`, TEMPLATES, '/builds', '/builds/new', '/templates/all'];
	for (const path of paths) {
		await page.goto(path);
		await expect(page.getByRole('heading', { name: 'Only for admins' })).toBeVisible();
	}
});
