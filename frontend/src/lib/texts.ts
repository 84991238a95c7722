/**
 * Every text of the dashboard, by feature: the one file to translate.
 *
 * A text is a string, or a function of what stands in it. A translation is another value of the type `Texts`.
 * What the server says (messages of errors, names) comes as it is.
 */

/** `1 capsule`, `2 capsules`. */
function count(n: number, one: string, many = `${one}s`): string {
	return `${n.toLocaleString('en')} ${n === 1 ? one : many}`;
}

const en = {
	// --- what all pages share -----------------------------------------------------------------------------------
	common: {
		cancel: 'Cancel',
		close: 'Close',
		save: 'Save',
		retry: 'Try again',
		loading: 'Loading…',
		actions: 'Actions',
		ago: 'ago',
		copied: 'Copied',
		copyFailed: (what: string) => `The browser does not let us copy the ${what}`,
		dismiss: 'Dismiss',
		facts: 'Facts',
		id: 'id',
		copy: (what: string) => `Copy ${what}`,
		moreActions: (what: string) => `More for ${what}`,
		optional: 'optional',
		pageTitle: (title: string) => `${title} · Wrenn`,
		listLoadFailed: 'The list cannot be loaded yet.',
		listOutdated: 'This list may be out of date.'
	},

	// --- sidebar, header, palette ---------------------------------------------------------------------------------
	shell: {
		skipToContent: 'Skip to the content',
		mainNavigation: 'Main',
		openMenu: 'Menu',
		breadcrumbs: 'Where you are',
		pages: {
			capsules: 'Capsules',
			list: 'List',
			stats: 'Stats',
			templates: 'Templates',
			builds: 'Builds',
			newBuild: 'New build',
			usage: 'Usage',
			team: 'Team',
			keys: 'API keys',
			channels: 'Channels',
			audit: 'Audit log',
			byoc: 'Your hosts',
			settings: 'Settings',
			admin: 'Administration',
			dashboard: 'Dashboard',
			terminal: 'Terminal',
			files: 'Files',
			processes: 'Processes',
			preview: 'Preview',
			commands: 'Commands'
		},
		apiDocs: 'API reference',
		runningCapsules: (n: number) => `${count(n, 'capsule')} running`,
		groups: { work: 'Work', team: 'Team' },
		byocForAdmins: 'Only owners and admins of the team manage its hosts.',
		account: 'Account',
		platformAdmin: 'platform admin',
		signOut: 'Sign out',
		teamId: 'team id',
		userId: 'user id',
		switchTeam: 'Team',
		noTeam: 'No team',
		teams: 'Your teams',
		createTeam: 'Create team',
		teamSwitched: (name: string) => `You act for ${name} now`,
		teamNotSwitched: (name: string, why: string) => `The team is not ${name}: ${why}`,
		noTeamBanner: 'You are in no team. Create one, or ask somebody to add you to theirs.',
		offline: 'The browser is offline. What you see is what was last known.',
		palette: {
			open: 'Find or do',
			placeholder: 'A page, an action, an id…',
			nothing: 'Nothing is called that.',
			goTo: 'Go to',
			do: 'Do',
			capsules: 'Capsules',
			templates: 'Templates',
			createCapsule: 'Create a capsule',
			createKey: 'Create an API key',
			createTeam: 'Create a team',
			newBuild: 'Build a template',
			hint: 'Ctrl K'
		}
	},

	// --- what somebody may not do ---------------------------------------------------------------------------------
	permission: {
		noTeam: 'You are in no team.',
		admin: 'Only admins and owners of the team may do this.',
		owner: 'Only the owner of the team may do this.',
		platform: 'Only administrators of the platform may do this.'
	},

	// --- signing in and up, the account ---------------------------------------------------------------------------
	session: {
		expired: 'Your session has ended. Sign in again.',
		signIn: 'Sign in',
		signUp: 'Sign up',
		signInOrUp: 'Sign in or sign up',
		name: 'Name',
		email: 'Email',
		password: 'Password',
		newPassword: 'New password',
		newPasswordAgain: 'New password, again',
		createAccount: 'Create account',
		enterName: 'Enter your name.',
		enterEmail: 'Enter an email address.',
		enterPassword: 'Enter your password.',
		enterCode: 'Enter a code.',
		notTheSame: 'The two passwords are not the same.',
		passwordHint: (least: number) => `At least ${least} characters.`,
		ownTeam: 'You get a team of your own.',
		backToSignIn: 'Back to the sign-in page',
		backToSettings: 'Back to the settings',
		toDashboard: 'Go to the dashboard',
		or: 'or',
		continueWith: (provider: string) => `Continue with ${provider}`,
		providers: { github: 'GitHub', oidc: 'Single sign-on' },
		methodsFailed: 'The ways to sign in cannot be loaded.',
		signUpClosed:
			'Sign-up is closed here. Ask an administrator of this installation for an account.',
		signUpByInvitation:
			'Sign-up takes an invitation here. Open the link of yours, or ask a member of a team for one.',
		signOutUntold: (why: string) =>
			`You are signed out here. Other devices may still be signed in: ${why}`,
		intro: {
			claim: 'Run code you do not trust in machines you can throw away.',
			verbs: [
				['create', 'A microVM with its own kernel, disk, memory and network.'],
				['exec', 'Commands over REST, as any user, with a time limit.'],
				['destroy', 'Nothing of it is left behind.']
			]
		},
		code: {
			title: 'Second factor',
			explanation: (email: string) =>
				`Enter the code that your authenticator app shows for ${email}. A recovery code is good, too.`,
			label: 'Code',
			back: 'Use another account'
		},
		forgotten: {
			link: 'Forgot your password?',
			title: 'Forgotten password',
			explanation: 'We send you a link. It is good once, for an hour.',
			send: 'Send the link',
			sent: (email: string) =>
				`If there is an account with the address ${email}, a link is on its way to it.`,
			noMail:
				'This server sends no mail. Ask an administrator of this installation: they can make a link for you that sets a new password.'
		},
		reset: {
			title: 'New password',
			explanation: 'You are signed out on every device when it is set.',
			submit: 'Set the password',
			done: 'The new password is set. Sign in with it.',
			incomplete: 'This link is not complete. Copy all of it, or ask for a new one.'
		},
		activation: {
			title: 'Confirm your address',
			waiting: 'Your address is being confirmed…',
			done: 'Your address is confirmed',
			failed: 'Your address is not confirmed.',
			banner: (email: string) =>
				`Confirm your address: open the link that was sent to ${email}. Until then some things are refused.`,
			sendAgain: 'Send the link again',
			sent: (email: string) => `A new link is on its way to ${email}`,
			notSent: (why: string) => `No link was sent: ${why}`
		},
		invitation: {
			title: 'Invitation to a team',
			stranger: 'Sign in or create an account, with the address to which the invitation was sent.',
			member: (email: string) =>
				`You are signed in as ${email}. The invitation must be for this address.`,
			accept: 'Join the team',
			accepted: (team: string) => `You are a member of ${team} now`,
			failed: 'You did not join the team.'
		},
		setup: {
			title: 'First administrator',
			explanation: 'Create the account that administers this installation. The link is good once.',
			signedIn: 'You are signed in already. Sign out first if this is not your account.'
		},
		callback: {
			title: 'Signing in',
			waiting: 'You are being signed in…',
			connected: (provider: string) => `${provider} is connected`,
			failed: 'You are not signed in.',
			notConnected: 'Nothing was connected.',
			unexpected: 'This tab did not begin to sign in. Begin again.'
		},
		admins: {
			title: 'Only for admins of the platform',
			explanation: (email: string) =>
				`${email} is not one. If that has changed, sign out and in again.`,
			back: 'Back to the capsules'
		}
	},

	// --- capsules -------------------------------------------------------------------------------------------------
	capsule: {},

	// --- statistics, charts ---------------------------------------------------------------------------------------
	stats: {},

	// --- terminals ------------------------------------------------------------------------------------------------
	terminal: {},

	// --- processes ------------------------------------------------------------------------------------------------
	process: {},

	// --- files ----------------------------------------------------------------------------------------------------
	files: {},

	// --- previews -------------------------------------------------------------------------------------------------
	preview: {},

	// --- templates ------------------------------------------------------------------------------------------------
	template: {},

	// --- builds ---------------------------------------------------------------------------------------------------
	build: {},

	// --- the team, its members ------------------------------------------------------------------------------------
	team: {
		create: 'Create team',
		name: 'Name',
		created: (name: string) => `Team ${name} is created`
	},

	// --- API keys -------------------------------------------------------------------------------------------------
	key: {},

	// --- the audit log --------------------------------------------------------------------------------------------
	audit: {},

	// --- channels of notifications --------------------------------------------------------------------------------
	channel: {},

	// --- usage and quotas -----------------------------------------------------------------------------------------
	usage: {},

	// --- the user's own settings ----------------------------------------------------------------------------------
	settings: {
		title: 'Settings',
		loadFailed: 'Your account cannot be loaded.',
		profile: {
			title: 'Profile',
			text: 'The other members of your teams see your name and address.',
			name: 'Name',
			rename: 'Change the name',
			renamed: 'Your name is changed',
			email: 'Email',
			verified: 'confirmed',
			unverified: 'not confirmed',
			userId: 'User id'
		},
		password: {
			title: 'Password',
			text: 'A new password ends your sessions on every other device.',
			firstText: 'You sign in with a provider. Set a password to sign in without it.',
			current: 'Current password',
			change: 'Change password',
			set: 'Set password',
			changed: 'Your password is changed',
			changedSignIn: 'Your password is changed. Sign in with the new one.',
			withFactor: 'You are signed out here, too, because signing in takes a code.'
		},
		totp: {
			title: 'Second factor',
			text: 'With it, signing in with the password takes a code of an authenticator app.',
			on: 'On',
			off: 'Off',
			turnOn: 'Turn on',
			turnOff: 'Turn off',
			unverified: 'Confirm your email address first.',
			setUp: 'Turn on the second factor',
			scan: 'Scan this with an authenticator app, or type the secret into it. Then enter the code that the app shows.',
			qrCode: 'QR code of the secret',
			secret: 'secret',
			code: 'Code of the app',
			enterCode: 'Enter the 6 digits that the app shows.',
			beginFailed: 'There is no secret yet.',
			turnedOn: 'The second factor is on',
			turnedOff: 'The second factor is off',
			recoveryTitle: 'Recovery codes',
			recovery:
				'Keep these codes where you find them without your phone. Each replaces a code of the app, once. They cannot be shown again.',
			recoveryCodes: 'recovery codes',
			kept: 'I have kept them',
			turnOffTitle: 'Turn off the second factor?',
			turnOffText: 'Then the password alone is enough to sign in. Your recovery codes end.',
			proof: 'Proof',
			proofCode: 'Code',
			proofCodeText: 'Of the app, or a recovery code.',
			proofPassword: 'Password',
			proofPasswordText: 'If you do not have the app any more.',
			codeOrRecovery: 'Code or recovery code',
			yourPassword: 'Your password'
		},
		providers: {
			title: 'Providers',
			text: 'Accounts elsewhere by which you sign in here.',
			none: 'No provider is set up on this server.',
			connect: 'Connect',
			connectLabel: (provider: string) => `Connect ${provider}`,
			disconnect: 'Disconnect',
			disconnectLabel: (provider: string) => `Disconnect ${provider}`,
			connected: 'connected',
			notConnected: 'not connected',
			gone: 'not offered by this server any more',
			onlyWay: 'It is your only way to sign in. Set a password first.',
			unverified: 'Confirm your email address first.',
			question: (provider: string) => `Disconnect ${provider}?`,
			consequence: (provider: string) =>
				`You cannot sign in with ${provider} any more. Your account stays as it is.`,
			disconnected: (provider: string) => `${provider} is disconnected`,
			notBegun: (provider: string, why: string) => `${provider} cannot be connected: ${why}`
		},
		danger: {
			title: 'Delete account',
			text: 'This cannot be undone.',
			summary:
				'Teams that only you belong to are deleted with it, and their capsules are destroyed.',
			ask: 'Delete',
			delete: 'Delete account',
			question: 'Delete your account?',
			destroyed: 'This ends:',
			account: 'your account, and your place in every team',
			keys: 'the API keys that you made, in all teams',
			team: (name: string) =>
				`team ${name}, which only you belong to: its capsules, templates and everything else of it`,
			blocked: 'You own teams that have other members. Hand them over or delete them first:',
			looking: 'Looking at your teams…',
			lookFailed: 'Your teams cannot be looked at.',
			confirm: (email: string) => `Type ${email} to confirm`,
			notTheAddress: 'This is not the address of your account.',
			deleted: 'Your account is deleted.'
		}
	}
};

export type Texts = typeof en;

export const texts: Texts = en;
export { count };
