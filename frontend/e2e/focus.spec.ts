/** The keyboard goes on in a list after a row of it is gone, and at the page's main action after the last one. */
import { expect, test, type Locator, type Page } from '@playwright/test';
import { call, createCapsule, row, signUp, stranger, waitUntilRunning } from './dashboard';

const GONE = { timeout: 60_000 };

/** Presses a control with the keyboard. */
async function press(control: Locator): Promise<void> {
	await control.focus();
	await control.press('Enter');
}

/** Answers the question that is asked, with the keyboard alone. */
async function confirm(page: Page, action: string): Promise<void> {
	const question = page.getByRole('alertdialog');
	// A menu that closes gives the focus back, and then the question takes it again: a key pressed before that goes astray.
	await expect(page.getByRole('menu')).toHaveCount(0);
	await expect(question.and(page.locator(':focus-within'))).toHaveCount(1);
	await press(question.getByRole('button', { name: action, exact: true }));
	await expect(question).toHaveCount(0, GONE);
}

test('after keys are deleted', async ({ page }) => {
	await signUp(page, stranger());
	for (const name of ['first', 'second', 'third']) {
		await call(page, 'POST', '/v1/api-keys', { name });
	}
	await page.goto('/dashboard/keys');
	const remove = (name: string) => page.getByRole('button', { name: `Delete ${name}` });

	// The newest stands first.
	await press(remove('second'));
	await confirm(page, 'Delete');
	await expect(remove('second')).toHaveCount(0);
	await expect(remove('first')).toBeFocused();

	await press(remove('first'));
	await confirm(page, 'Delete');
	await expect(remove('third')).toBeFocused();

	await press(remove('third'));
	await confirm(page, 'Delete');
	await expect(page.getByText('No API keys yet')).toBeVisible();
	await expect(page.getByRole('button', { name: 'Create key' })).toBeFocused();
});

test('after capsules are destroyed, and templates deleted', async ({ page }) => {
	test.setTimeout(420_000);
	await signUp(page, stranger());
	const older = await createCapsule(page);
	await waitUntilRunning(page, older);
	const newer = await createCapsule(page);
	await waitUntilRunning(page, newer);
	const unique = Date.now().toString(36);
	const names = [`focus-a-${unique}`, `focus-b-${unique}`];
	for (const name of names) {
		await call(page, 'POST', '/v1/snapshots', { sandbox_id: older, name });
	}

	await test.step('capsules, one after the other', async () => {
		const destroy = (id: string) => page.getByRole('button', { name: `Destroy ${id}` });
		await press(destroy(newer));
		await confirm(page, 'Destroy');
		await expect(row(page, newer)).toHaveCount(0, GONE);
		await expect(destroy(older)).toBeFocused();

		await press(destroy(older));
		await confirm(page, 'Destroy');
		await expect(page.getByRole('heading', { name: 'No capsules yet' })).toBeVisible(GONE);
		await expect(page.getByRole('button', { name: 'Create capsule' })).toBeFocused();
	});

	await test.step('templates, from their menus', async () => {
		await page.goto('/dashboard/templates');
		const more = (name: string) => page.getByRole('button', { name: `More for ${name}` });
		const [first = '', second = ''] = names.reverse();
		for (const name of [first, second]) {
			await press(more(name));
			await press(page.getByRole('menuitem', { name: `Delete ${name}` }));
			await confirm(page, 'Delete');
			await expect(row(page, name)).toHaveCount(0, GONE);
			// The one that stays is the platform's, which has nothing in its menu.
			if (name === first) await expect(more(second)).toBeFocused();
			else await expect(row(page, 'minimal').getByRole('button').last()).toBeVisible();
		}
		const focused = page.locator(':focus');
		await expect(focused).toHaveAccessibleName(/minimal/);
	});
});
