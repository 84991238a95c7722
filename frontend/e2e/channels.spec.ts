/** Channels of notifications: made, tested, changed and deleted. */
import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { expect, test } from '@playwright/test';
import { row, signUp, stranger } from './dashboard';

/** A receiver on this machine, and how often it was told something. */
async function receiver(): Promise<{ server: Server; url: string; told: () => number }> {
	let count = 0;
	const server = createServer((request, response) => {
		count += 1;
		request.resume();
		response.end();
	});
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	const { port } = server.address() as AddressInfo;
	return { server, url: `http://127.0.0.1:${port}/hook`, told: () => count };
}

test('a webhook is made, tested, changed and deleted', async ({ page }) => {
	const { server, url, told } = await receiver();
	const name = `hook ${Date.now().toString(36)}`;
	await signUp(page, stranger());
	await page.goto('/dashboard/channels');
	await expect(page.getByText('No channels yet')).toBeVisible();

	await page.getByRole('button', { name: 'Create channel' }).click();
	const dialog = page.getByRole('dialog');
	const create = dialog.getByRole('button', { name: 'Create channel' });

	await test.step('the form names what is missing', async () => {
		await create.click();
		await expect(dialog.getByText('Address is missing.')).toBeVisible();
		await expect(dialog.getByText('Choose at least one.')).toBeVisible();
		await dialog.getByLabel('Receiver').selectOption('Matrix');
		await expect(dialog.getByLabel('Room id')).toBeVisible();
		await dialog.getByLabel('Receiver').selectOption('Webhook');
	});

	await test.step('a test says whether the receiver is reached', async () => {
		await dialog.getByLabel('Address', { exact: true }).fill(url);
		await dialog.getByRole('button', { name: 'Send a test' }).click();
		// Operators decide whether receivers may be on private networks.
		const refusal = dialog.getByText('The test did not arrive.');
		const success = dialog.getByText('The test has arrived.');
		await expect(refusal.or(success)).toBeVisible();
		expect(told()).toBe((await success.isVisible()) ? 1 : 0);
	});

	await test.step('its secret is shown once', async () => {
		await dialog.getByLabel('Name').fill(name);
		await dialog.getByRole('checkbox', { name: 'A capsule runs' }).check();
		await create.click();
		await expect(dialog.getByText(/^whsec_/)).toBeVisible();
		await dialog.getByRole('button', { name: 'Done' }).click();
		await expect(page.getByText(/whsec_/)).toHaveCount(0);
		await expect(row(page, name)).toContainText('Webhook');
		await expect(row(page, name)).toContainText('capsule.running');
	});

	await test.step('its events are changed', async () => {
		await page.getByRole('button', { name: `Edit ${name}` }).click();
		await expect(dialog.getByRole('checkbox', { name: 'A capsule runs' })).toBeChecked();
		await dialog.getByRole('checkbox', { name: 'A host is silent' }).check();
		await dialog.getByRole('button', { name: 'Save' }).click();
		await expect(row(page, name)).toContainText('host.down');
	});

	await test.step('a new configuration has a new secret', async () => {
		await page.getByRole('button', { name: `Replace the configuration of ${name}` }).click();
		await expect(dialog.getByLabel('Address', { exact: true })).toHaveValue('');
		await dialog.getByLabel('Address', { exact: true }).fill('https://example.org/hook');
		await dialog.getByRole('button', { name: 'Replace configuration' }).click();
		await expect(dialog.getByText(/^whsec_/)).toBeVisible();
		await dialog.getByRole('button', { name: 'Done' }).click();
	});

	await test.step('it is deleted', async () => {
		await page.getByRole('button', { name: `Delete ${name}` }).click();
		await page.getByRole('alertdialog').getByRole('button', { name: 'Delete' }).click();
		await expect(row(page, name)).toHaveCount(0);
	});
	server.close();
});

test('a channel that was switched off says why, and can be switched on', async ({ page }) => {
	await signUp(page, stranger());
	const channel = {
		id: 'ch-1',
		team_id: 'team-1',
		name: 'ops',
		provider: 'slack',
		events: ['host.down'],
		created_at: '2026-11-01T00:00:00Z',
		updated_at: '2026-11-01T00:00:00Z',
		disabled_at: '2026-11-20T00:00:00Z' as string | null,
		last_error: 'the receiver answered with status 410' as string | null
	};
	await page.route('**/v1/channels', (route) => route.fulfill({ json: [channel] }));
	await page.route('**/v1/channels/ch-1', (route) => {
		Object.assign(channel, { disabled_at: null, last_error: null });
		return route.fulfill({ json: channel });
	});
	await page.goto('/dashboard/channels');
	await expect(row(page, 'ops')).toContainText('switched off');
	await expect(row(page, 'ops')).toContainText('status 410');
	await page.getByRole('button', { name: 'Switch ops on' }).click();
	await expect(row(page, 'ops')).not.toContainText('switched off');
	await expect(page.getByRole('button', { name: 'Switch ops on' })).toBeDisabled();
});
