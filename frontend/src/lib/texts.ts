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
		expired: 'Your session has ended. Sign in again.'
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
	settings: {}
};

export type Texts = typeof en;

export const texts: Texts = en;
export { count };
