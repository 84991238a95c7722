/** The steps that the journeys about hosts share. */
import { expect, type APIRequestContext, type Locator, type Page } from '@playwright/test';
import { admin } from './dashboard';

/** Lets a team bring hosts, as an administrator of the platform does. */
export async function allowHosts(request: APIRequestContext, teamId: string): Promise<void> {
	const login = await request.post('/v1/auth/login', { data: admin() });
	const { token } = (await login.json()) as { token: string };
	const answer = await request.put(`/v1/admin/teams/${teamId}/byoc`, {
		headers: { Authorization: `Bearer ${token}` },
		data: { enabled: true }
	});
	expect(answer.status()).toBe(204);
}

/** The dialog that is open. */
export const dialog = (page: Page): Locator => page.getByRole('dialog');

/** Makes a host on the page of hosts that is open; returns the command that is shown for it, and closes the dialog. */
export async function createHost(page: Page, provider: string): Promise<string> {
	await page.getByRole('button', { name: 'Create host' }).click();
	await dialog(page).getByLabel('Provider').fill(provider);
	await dialog(page).getByRole('button', { name: 'Create host' }).click();
	return commandShown(page);
}

/** The command that a dialog shows once; closes the dialog. */
export async function commandShown(page: Page): Promise<string> {
	const shown = dialog(page).getByText(/^wrenn agent join reg_/);
	await expect(shown).toBeVisible();
	const command = (await shown.innerText()).trim();
	await dialog(page).getByRole('button', { name: 'Done' }).click();
	await expect(page.getByText(/reg_/)).toHaveCount(0);
	return command;
}

/** Gives a host a tag and takes away another, in the row of the host. */
export async function retag(page: Page, host: Locator, add: string, remove: string): Promise<void> {
	await host.getByRole('button', { name: /^Change the tags of/ }).click();
	const field = dialog(page).getByLabel('New tag');
	for (const tag of [remove, add]) {
		await field.fill(tag);
		await field.press('Enter');
		await expect(
			dialog(page).getByRole('button', { name: `Remove the tag ${tag}`, exact: true })
		).toBeVisible();
		await expect(field).toHaveValue('');
		await expect(field).toBeFocused();
	}
	await dialog(page)
		.getByRole('button', { name: `Remove the tag ${remove}`, exact: true })
		.click();
	await expect(dialog(page).getByText(remove, { exact: true })).toHaveCount(0);
	await expect(field).toBeFocused();
	await dialog(page).getByRole('button', { name: 'Done' }).click();
	await expect(host.getByText(add, { exact: true })).toBeVisible();
}

/** Deletes a host on which nothing is, in its row. */
export async function deleteEmptyHost(page: Page, host: Locator): Promise<void> {
	await host.getByRole('button', { name: /^Delete host-/ }).click();
	const question = page.getByRole('alertdialog');
	await expect(question.getByText('No capsule is on it')).toBeVisible();
	await question.getByRole('button', { name: 'Delete' }).click();
	await expect(host).toHaveCount(0);
}
