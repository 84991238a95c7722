/** The hosts that a team brings: only where the platform allows it, and joined by a command that is shown once. */
import { expect, test } from '@playwright/test';
import { row, signUp, storedSession, stranger } from './dashboard';
import { allowHosts, commandShown, createHost, deleteEmptyHost, dialog, retag } from './hosts';
import { JOINED, Machine } from './machine';

test('a team brings a host once it may', async ({ page, request }) => {
	await signUp(page, stranger());
	await page.goto('/dashboard/byoc');
	const create = page.getByRole('button', { name: 'Create host' });
	await expect(create).toBeDisabled();
	await expect(page.getByText('Your team does not bring hosts.')).toBeVisible();

	await allowHosts(request, (await storedSession(page))?.team_id ?? '');
	await expect(create).toBeEnabled();
	await createHost(page, 'rack 4');

	const host = row(page, 'pending');
	await expect(host).toContainText('rack 4');
	await expect(host).toContainText('not known yet');

	await test.step('the command can be had again', async () => {
		await host.getByRole('button', { name: /^Make a new token/ }).click();
		await commandShown(page);
	});

	await test.step('it gets tags', async () => {
		await host.getByRole('button', { name: /^Change the tags of/ }).click();
		await dialog(page).getByLabel('New tag').fill('two words');
		await dialog(page).getByRole('button', { name: 'Add', exact: true }).click();
		await expect(dialog(page).getByText(/^A tag is made of letters/)).toBeVisible();
		await page.keyboard.press('Escape');
		await expect(host.getByRole('button', { name: /^Change the tags of/ })).toBeFocused();
		await retag(page, host, 'rack=4', 'wrong');
	});

	await test.step('it is deleted', async () => {
		await deleteEmptyHost(page, host);
		await expect(page.getByText('Your team has no hosts yet.')).toBeVisible();
	});
});

test('a machine joins with the command that is shown, is drained and deleted', async ({
	page,
	request
}) => {
	test.setTimeout(300_000);
	const machine = new Machine();
	try {
		await signUp(page, stranger());
		await allowHosts(request, (await storedSession(page))?.team_id ?? '');
		await page.goto('/dashboard/byoc');
		const host = page.getByRole('row').filter({ hasText: 'cellar' });

		await test.step('it turns online', async () => {
			machine.run(await createHost(page, 'cellar'));
			await machine.until(() => expect(host).toContainText('online', JOINED));
			await expect(host).not.toContainText('not known yet');
			await expect(host).toContainText(/0 of \d+/);
			await expect(host.getByRole('button', { name: /^Make a new token/ })).toBeDisabled();
		});

		await test.step('it is drained, and opened again', async () => {
			await host.getByRole('button', { name: /^Drain host-/ }).click();
			await expect(host).toContainText('draining');
			await host.getByRole('button', { name: /^Open host-/ }).click();
			await expect(host).toContainText('online');
			await host.getByRole('button', { name: /^Drain host-/ }).click();
			await expect(host).toContainText('draining');
		});

		await test.step('it is deleted, and its agent ends', async () => {
			expect(machine.isRunning).toBe(true);
			await host.getByRole('button', { name: /^Delete host-/ }).click();
			const question = page.getByRole('alertdialog');
			await question.getByRole('button', { name: 'Delete' }).click();
			await expect(host).toHaveCount(0);
			await machine.hasLeft();
		});
	} finally {
		await machine.remove();
	}
});
