/** The hosts that a team brings: only where the platform allows it, and joined by a command that is shown once. */
import { expect, test, type APIRequestContext } from '@playwright/test';
import { admin, row, signUp, storedSession, stranger } from './dashboard';

/** What an administrator of the platform does for a team that wants to bring hosts. */
async function allowHosts(request: APIRequestContext, teamId: string): Promise<void> {
	const login = await request.post('/v1/auth/login', { data: admin() });
	const { token } = (await login.json()) as { token: string };
	const answer = await request.put(`/v1/admin/teams/${teamId}/byoc`, {
		headers: { Authorization: `Bearer ${token}` },
		data: { enabled: true }
	});
	expect(answer.status()).toBe(204);
}

test('a team brings a host once it may', async ({ page, request }) => {
	await signUp(page, stranger());
	await page.goto('/dashboard/byoc');
	const create = page.getByRole('button', { name: 'Create host' });
	await expect(create).toBeDisabled();
	await expect(page.getByText('Your team does not bring hosts.')).toBeVisible();

	await allowHosts(request, (await storedSession(page))?.team_id ?? '');
	await expect(create).toBeEnabled();
	await create.click();
	const dialog = page.getByRole('dialog');
	await dialog.getByLabel('Provider').fill('rack 4');
	await dialog.getByRole('button', { name: 'Create host' }).click();
	await expect(dialog.getByText(/^wrenn agent join reg_/)).toBeVisible();
	await dialog.getByRole('button', { name: 'Done' }).click();
	await expect(page.getByText(/reg_/)).toHaveCount(0);

	const host = row(page, 'pending');
	await expect(host).toContainText('not known yet');
	await host.getByRole('button', { name: /^Make a new token/ }).click();
	await expect(dialog.getByText(/^wrenn agent join reg_/)).toBeVisible();
	await dialog.getByRole('button', { name: 'Done' }).click();

	await host.getByRole('button', { name: /^Delete host-/ }).click();
	const question = page.getByRole('alertdialog');
	await expect(question.getByText('No capsule is on it')).toBeVisible();
	await question.getByRole('button', { name: 'Delete' }).click();
	await expect(host).toHaveCount(0);
	await expect(page.getByText('Your team has no hosts yet.')).toBeVisible();
});
