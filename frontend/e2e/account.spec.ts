/** Accounts: signing in and up in every way, the links that the server makes, and the user's own settings. */
import { createHmac } from 'node:crypto';
import { expect, test, type APIRequestContext, type Page } from '@playwright/test';
import {
	admin,
	fillIn,
	signOut,
	signUp,
	storedSession,
	stranger,
	type Credentials,
	type Session
} from './dashboard';

type Account = Credentials & { name: string };

let strangers = 0;

/** An account with a name that nobody else has. */
function somebody(): Account {
	strangers += 1;
	const { email, password } = stranger();
	return { name: `Somebody ${Date.now()} ${strangers}`, email: `${strangers}-${email}`, password };
}

async function openSettings(page: Page): Promise<void> {
	const main = page.getByRole('navigation', { name: 'Main' });
	await main.getByRole('link', { name: 'Settings' }).click();
	await expect(page.getByRole('heading', { name: 'Settings' })).toBeVisible();
}

/** What is on the page of the settings below one heading. */
function section(page: Page, name: string) {
	return page.getByRole('region', { name });
}

async function expectSignedIn(page: Page, name: string): Promise<void> {
	await expect(page.getByRole('button', { name: 'Account', exact: true })).toContainText(name);
}

async function submitSignIn(page: Page, credentials: Credentials): Promise<void> {
	await fillIn(page, credentials);
	await page.getByRole('button', { name: 'Sign in' }).click();
}

/** Calls the API beside the page, where the page has no button for it. */
async function call<T>(
	request: APIRequestContext,
	path: string,
	data: object,
	token?: string
): Promise<T> {
	const headers = token === undefined ? undefined : { Authorization: `Bearer ${token}` };
	const answer = await request.post(path, { data, headers });
	expect(answer.ok(), `${path}: ${await answer.text()}`).toBe(true);
	return (await answer.json()) as T;
}

/** The code that an authenticator app shows for a secret, some steps of 30 s from now (RFC 6238). */
function totpCode(secret: string, stepsAhead: number): string {
	const bits = [...secret]
		.map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter))
		.map((value) => value.toString(2).padStart(5, '0'))
		.join('');
	const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)));
	const counter = Buffer.alloc(8);
	counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + stepsAhead));
	const hash = createHmac('sha1', key).update(counter).digest();
	const at = (hash.at(-1) ?? 0) & 15;
	return String((hash.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

test('a user changes name and password, and signs in with the new one', async ({ page }) => {
	const account = somebody();
	const password = `${account.password}-new`;
	await signUp(page, account);
	await openSettings(page);

	await test.step('the new name is everywhere at once', async () => {
		const profile = section(page, 'Profile');
		await profile.getByRole('button', { name: 'Change the name' }).click();
		const field = profile.getByLabel('Name');
		await expect(field).toBeFocused();
		await field.fill(' ');
		await field.press('Enter');
		await expect(profile.getByText('At least 1 character.')).toBeVisible();
		await field.press('Escape');
		await expect(profile.getByRole('button', { name: 'Change the name' })).toBeFocused();
		await page.keyboard.press('Enter');
		await field.fill(`${account.name} II`);
		await field.press('Enter');
		await expect(page.getByText('Your name is changed')).toBeVisible();
		await expectSignedIn(page, `${account.name} II`);
		await expect(profile).toContainText(`${account.name} II`);
	});

	const form = section(page, 'Password');
	const fill = async (current: string, next: string, again: string) => {
		await form.getByLabel('Current password').fill(current);
		await form.getByLabel('New password', { exact: true }).fill(next);
		await form.getByLabel('New password, again').fill(again);
		await form.getByRole('button', { name: 'Change password' }).click();
	};

	await test.step('what is wrong is said beside the field, and nobody is thrown out', async () => {
		await fill(account.password, password, `${password}-not`);
		await expect(form.getByText('The two passwords are not the same.')).toBeVisible();
		await fill('certainly not it', password, password);
		await expect(form.getByText('Is wrong.')).toBeVisible();
		await expectSignedIn(page, account.name);
	});

	await test.step('the new password ends the old token, and the page stays', async () => {
		const { token } = (await storedSession(page))!;
		await fill(account.password, password, password);
		await expect(page.getByText('Your password is changed')).toBeVisible();
		await expect(form.getByLabel('Current password')).toHaveValue('');
		const headers = { Authorization: `Bearer ${token}` };
		expect((await page.request.get('/v1/me', { headers })).status()).toBe(401);
		await page.reload();
		await expectSignedIn(page, `${account.name} II`);
	});

	await test.step('signing out ends the token, too', async () => {
		const { token } = (await storedSession(page))!;
		const headers = { Authorization: `Bearer ${token}` };
		expect((await page.request.get('/v1/me', { headers })).status()).toBe(200);
		await signOut(page);
		const status = async () => (await page.request.get('/v1/me', { headers })).status();
		await expect.poll(status).toBe(401);
	});

	await submitSignIn(page, account);
	await expect(page.getByRole('alert')).toContainText('unauthorized');
	await submitSignIn(page, { ...account, password });
	await expectSignedIn(page, `${account.name} II`);
});

test('a second factor is turned on, asked for and turned off', async ({ page }) => {
	const account = somebody();
	await signUp(page, account);
	await openSettings(page);
	const factor = section(page, 'Second factor');

	await factor.getByRole('button', { name: 'Turn on' }).click();
	const dialog = page.getByRole('dialog');
	await expect(dialog.getByRole('img', { name: 'QR code of the secret' })).toBeVisible();
	const secret = await dialog.getByText(/^[A-Z2-7]{32}$/).innerText();

	await test.step('a code confirms it, and only then it is on', async () => {
		await dialog.getByLabel('Code of the app').fill('12345');
		await dialog.getByRole('button', { name: 'Turn on' }).click();
		await expect(dialog.getByText('Enter the 6 digits')).toBeVisible();
		await dialog.getByLabel('Code of the app').fill(totpCode(secret, 20));
		await dialog.getByRole('button', { name: 'Turn on' }).click();
		await expect(dialog.getByText('The code is wrong')).toBeVisible();
		await dialog.getByLabel('Code of the app').fill(totpCode(secret, 0));
		await dialog.getByRole('button', { name: 'Turn on' }).click();
		await expect(dialog.getByText(/^(\w{4}(-\w{4}){3}\n?){10}$/)).toBeVisible();
		await dialog.getByRole('button', { name: 'I have kept them' }).click();
		await expect(factor.getByText('On', { exact: true })).toBeVisible();
		await expect(factor.getByRole('button', { name: 'Turn off' })).toBeFocused();
		await expectSignedIn(page, account.name);
	});

	await test.step('the password is not enough any more', async () => {
		await signOut(page);
		await submitSignIn(page, account);
		const code = page.getByLabel('Code');
		await expect(code).toBeFocused();
		await page.getByRole('button', { name: 'Use another account' }).click();
		await expect(page.getByLabel('Email')).toBeFocused();
		await page.getByRole('button', { name: 'Sign in' }).click();
		await code.fill('000000');
		await page.getByRole('button', { name: 'Sign in' }).click();
		await expect(page.getByText('The code is wrong')).toBeVisible();
		// Each code is good once; the next one is taken already, as clocks differ.
		await code.fill(totpCode(secret, 1));
		await page.getByRole('button', { name: 'Sign in' }).click();
		await expectSignedIn(page, account.name);
	});

	await test.step('it is turned off by the password', async () => {
		await openSettings(page);
		await factor.getByRole('button', { name: 'Turn off' }).click();
		await dialog.getByRole('radio', { name: /^Password/ }).check();
		await dialog.getByLabel('Your password').fill('certainly not it');
		await dialog.getByRole('button', { name: 'Turn off' }).click();
		await expect(dialog.getByText('Is wrong.')).toBeVisible();
		await dialog.getByLabel('Your password').fill(account.password);
		await dialog.getByRole('button', { name: 'Turn off' }).click();
		await expect(dialog).toHaveCount(0);
		await expect(factor.getByText('Off', { exact: true })).toBeVisible();
	});

	await signOut(page);
	await submitSignIn(page, account);
	await expectSignedIn(page, account.name);
});

test('a link that an administrator makes leads to a new password', async ({ page, request }) => {
	const account = somebody();
	const { user_id } = await call<Session>(request, '/v1/auth/signup', account);
	const { token } = await call<Session>(request, '/v1/auth/login', admin());
	const path = `/v1/admin/users/${user_id}/reset-link`;
	const { url } = await call<{ url: string }>(request, path, {}, token);
	const link = new URL(url).pathname + new URL(url).search;

	await page.goto('/login');
	await page.getByRole('link', { name: 'Forgot your password?' }).click();
	await expect(page.getByText('This server sends no mail.')).toBeVisible();

	const password = `${account.password}-new`;
	const set = async (again: string) => {
		await page.getByLabel('New password', { exact: true }).fill(password);
		await page.getByLabel('New password, again').fill(again);
		await page.getByRole('button', { name: 'Set the password' }).click();
	};
	await page.goto(link);
	await set('something else');
	await expect(page.getByText('The two passwords are not the same.')).toBeVisible();
	await set(password);
	await expect(page.getByText('The new password is set.')).toBeVisible();
	await page.getByRole('main').getByRole('link', { name: 'Sign in', exact: true }).click();
	await submitSignIn(page, { ...account, password });
	await expectSignedIn(page, account.name);

	await page.goto(link);
	await set(password);
	await expect(page.getByRole('alert')).toContainText('used before');
});

test('where mail is sent, a forgotten password takes an address', async ({ page }) => {
	await page.route('**/v1/auth/methods', (route) =>
		route.fulfill({ json: { signup: 'closed', mail: true, providers: [] } })
	);
	await page.route('**/v1/me/password/reset', (route) => route.fulfill({ status: 204 }));
	await page.goto('/login');
	await page.getByRole('tab', { name: 'Sign up' }).click();
	await expect(page.getByText('Sign-up is closed here.')).toBeVisible();
	await page.getByRole('tab', { name: 'Sign in' }).click();
	await page.getByRole('link', { name: 'Forgot your password?' }).click();
	await page.getByRole('button', { name: 'Send the link' }).click();
	await expect(page.getByText('Enter an email address.')).toBeVisible();
	await page.getByLabel('Email').fill('ada@example.org');
	await page.getByRole('button', { name: 'Send the link' }).click();
	await expect(page.getByText('a link is on its way to it')).toContainText('ada@example.org');
});

test('an invitation is accepted by those with an account, and by those without', async ({
	page,
	request
}) => {
	const owner = somebody();
	const { token, team_id } = await call<Session>(request, '/v1/auth/signup', owner);
	const invite = async ({ email }: Account) => {
		const path = `/v1/teams/${team_id}/invitations`;
		const invitation = await call<{ token: string }>(request, path, { email }, token);
		return `/invitation?token=${encodeURIComponent(invitation.token)}`;
	};
	const expectTeam = () =>
		expect(page.getByRole('button', { name: new RegExp(`Team: ${owner.name}`) })).toBeVisible();

	await test.step('without an account', async () => {
		const guest = somebody();
		await page.goto(await invite(guest));
		await page.getByLabel('Name').fill(guest.name);
		await fillIn(page, guest);
		await page.getByRole('button', { name: 'Create account' }).click();
		await expectSignedIn(page, guest.name);
		await expectTeam();
		await signOut(page);
	});

	await test.step('with an account, signed in on the way', async () => {
		const guest = somebody();
		await call(request, '/v1/auth/signup', guest);
		const link = await invite(guest);
		await page.goto(link);
		await page.getByRole('tab', { name: 'Sign in' }).click();
		await submitSignIn(page, guest);
		await expect(page.getByText(`You are signed in as ${guest.email}`)).toBeVisible();
		await page.getByRole('button', { name: 'Join the team' }).click();
		await expectSignedIn(page, guest.name);
		await expectTeam();

		await page.goto(link);
		await page.getByRole('button', { name: 'Join the team' }).click();
		await expect(page.getByRole('alert')).toContainText('not_found');
	});
});

test('after its time a session shows nothing, and its user comes back to where they were', async ({
	page
}) => {
	const account = somebody();
	await page.clock.install();
	await signUp(page, account);
	await openSettings(page);
	await page.clock.fastForward('06:00:01');
	await expect(page.getByText('Your session has ended.')).toBeVisible();
	await expect(page.getByText(account.name)).toHaveCount(0);
	expect(await storedSession(page)).toBeNull();

	await submitSignIn(page, account);
	await expect(page.getByRole('heading', { name: 'Settings' })).toBeVisible();
	await expectSignedIn(page, account.name);
});

test('nothing of one user is shown to the next', async ({ page, context }) => {
	const [first, second] = [somebody(), somebody()];
	const createKey = async (name: string) => {
		const { token } = (await storedSession(page))!;
		await call(page.request, '/v1/api-keys', { name }, token);
	};
	await signUp(page, first);
	await createKey('key of the first');
	const main = page.getByRole('navigation', { name: 'Main' });
	await main.getByRole('link', { name: 'API keys' }).click();
	await expect(page.getByText('key of the first')).toBeVisible();

	// An answer for the first user is on its way while the second signs in, in another tab.
	let release = () => undefined as void;
	const held = new Promise<void>((resolve) => (release = resolve));
	await page.route(
		'**/v1/api-keys',
		async (route) => {
			const answer = await route.fetch();
			await held;
			// The page has given it up by now.
			await route.fulfill({ response: answer }).catch(() => undefined);
		},
		{ times: 1 }
	);
	await page.reload();
	await expectSignedIn(page, first.name);

	const other = await context.newPage();
	await other.goto('/dashboard/settings');
	await expectSignedIn(other, first.name);
	await signOut(other);
	await expect(page.getByRole('tab', { name: 'Sign in' })).toBeVisible();
	await expect(page.getByText(first.name)).toHaveCount(0);
	await signUp(other, second);

	await expectSignedIn(page, second.name);
	release();
	await createKey('key of the second');
	await main.getByRole('link', { name: 'API keys' }).click();
	await expect(page.getByText('key of the second', { exact: true })).toBeVisible();
	await expect(page.getByText('key of the first')).toHaveCount(0);
	await expect(page.getByText(first.name)).toHaveCount(0);
});

test('a provider signs in the tab that went there, and no other', async ({ page, request }) => {
	const account = somebody();
	const { name, email, ...rest } = await call<Session>(request, '/v1/auth/signup', account);
	const fields = { name: String(name), email: String(email), ...rest, is_admin: 'false' };
	const fragment = new URLSearchParams(fields).toString();
	await page.route('**/v1/auth/methods', (route) =>
		route.fulfill({ json: { signup: 'open', mail: false, providers: ['github'] } })
	);
	const returnWith = (behind: string) =>
		page.route('**/v1/auth/oauth/github', (route) =>
			route.fulfill({ status: 302, headers: { location: `/auth/callback#${behind}` } })
		);

	await test.step('nobody is signed in by a link', async () => {
		await page.goto(`/auth/callback#${fragment}`);
		await expect(page.getByRole('alert')).toContainText('This tab did not begin to sign in.');
		expect(new URL(page.url()).hash).toBe('');
		expect(await storedSession(page)).toBeNull();
	});

	await test.step('a refusal is said', async () => {
		await returnWith('error=conflict&message=sign+in+with+your+password+first');
		await page.getByRole('link', { name: 'Back to the sign-in page' }).click();
		await page.getByRole('button', { name: 'Continue with GitHub' }).click();
		await expect(page.getByRole('alert')).toContainText('sign in with your password first');
		expect(new URL(page.url()).hash).toBe('');
	});

	await test.step('the way back leads to where the user wanted to go', async () => {
		await returnWith(fragment);
		await page.goto('/dashboard/settings');
		await page.getByRole('button', { name: 'Continue with GitHub' }).click();
		await expect(page.getByRole('heading', { name: 'Settings' })).toBeVisible();
		await expectSignedIn(page, account.name);
		expect(page.url()).not.toContain('token');
	});

	await test.step('an account is connected', async () => {
		await page.route('**/v1/me/providers/github/connect', (route) =>
			route.fulfill({ json: { auth_url: '/auth/callback#connected=github' } })
		);
		await page.getByRole('button', { name: 'Connect GitHub' }).click();
		await expect(page.getByText('GitHub is connected')).toBeVisible();
		await expect(page.getByRole('heading', { name: 'Settings' })).toBeVisible();
	});
});

test('an account is deleted with what belongs to nobody else', async ({ page, request }) => {
	const account = somebody();
	await signUp(page, account);
	await openSettings(page);
	const ask = () => section(page, 'Delete account').getByRole('button').click();
	const dialog = page.getByRole('dialog');

	await test.step('a team with other members keeps it', async () => {
		const { token, team_id } = (await storedSession(page))!;
		const guest = somebody();
		await call(request, '/v1/auth/signup', guest);
		const path = `/v1/teams/${team_id}/members`;
		const member = await call<{ user_id: string }>(request, path, { email: guest.email }, token);
		await ask();
		await expect(dialog.getByText('You own teams that have other members.')).toBeVisible();
		await expect(dialog.getByRole('listitem')).toContainText(account.name);
		await dialog.getByRole('button', { name: 'Close' }).last().click();
		const headers = { Authorization: `Bearer ${token}` };
		await request.delete(`${path}/${member.user_id}`, { headers });
	});

	await ask();
	await expect(dialog.getByText(`team ${account.name}`)).toBeVisible();
	const confirmation = dialog.getByLabel(`Type ${account.email} to confirm`);
	await confirmation.fill('ada@example.org');
	await dialog.getByRole('button', { name: 'Delete account' }).click();
	await expect(dialog.getByText('This is not the address of your account.')).toBeVisible();
	await confirmation.fill(account.email);
	await dialog.getByRole('button', { name: 'Delete account' }).click();
	await expect(page.getByText('Your account is deleted.')).toBeVisible();
	await submitSignIn(page, account);
	await expect(page.getByRole('alert')).toContainText('unauthorized');
});

test('a link confirms an address, or says why not', async ({ page, request }) => {
	const account = somebody();
	const session = await call<Session>(request, '/v1/auth/signup', account);
	await page.goto('/activate?token=certainly-not-one');
	await expect(page.getByRole('alert')).toContainText('Your address is not confirmed.');
	await page.getByRole('link', { name: 'Back to the sign-in page' }).click();
	await expect(page.getByRole('tab', { name: 'Sign in' })).toBeVisible();

	// Only a server that sends mail makes such links.
	await page.route('**/v1/auth/activate', (route) => route.fulfill({ json: session }));
	await page.goto('/activate?token=a-good-one');
	await expect(page.getByText('Your address is confirmed')).toBeVisible();
	await expectSignedIn(page, account.name);
});

test('a set-up link that was used makes nobody an administrator', async ({ page }) => {
	const account = somebody();
	await page.goto('/setup?token=certainly-not-one');
	await page.getByLabel('Name').fill(account.name);
	await fillIn(page, account);
	await page.getByRole('button', { name: 'Create account' }).click();
	await expect(page.getByRole('alert')).toBeVisible();
	expect(await storedSession(page)).toBeNull();
});
