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
	template: {
		title: 'Templates',
		tabs: 'Templates and builds',
		own: (n: number) => `${count(n, 'template')} of your team`,
		noneOwn: 'Your team has none of its own yet. Build one, or make one of a capsule.',
		ofTeams: (n: number, teams: number) => `${count(n, 'template')} of ${count(teams, 'team')}`,
		caption: {
			team: 'The templates that your team can use, newest first',
			platform: 'The templates of all teams, newest first'
		},
		columns: {
			name: 'Name and id',
			type: 'Type',
			machine: 'Machine',
			disk: 'Least disk',
			size: 'Size',
			from: 'From',
			age: 'Age'
		},
		anyMachine: 'any',
		machine: (vcpus: number, memory: string) => `${vcpus} vCPU · ${memory}`,
		ofPlatform: 'platform',
		ofYourTeam: 'your team',
		build: 'build',
		showBuild: (name: string) => `Show the build of ${name}`,
		copiedName: 'template name',
		copiedId: 'template id',
		empty: 'No templates. The base image is made when the platform is set up.',
		filter: {
			region: 'Filter',
			text: 'Filter by name or id',
			type: 'Type',
			all: 'All types',
			none: 'No template matches.',
			clear: 'Show all'
		},
		use: 'Create a capsule',
		useOf: (name: string) => `Create a capsule from ${name}`,
		ofAnotherTeam: 'It belongs to another team.',
		delete: 'Delete',
		deleteOf: (name: string) => `Delete ${name}`,
		deleteTitle: 'Delete this template?',
		/** What follows its name and size. */
		deleteBase: 'is deleted from every host: its disk cannot be brought back.',
		deleteSnapshot: 'is deleted from every host: its disk and its memory cannot be brought back.',
		deleteOwner: (owner: string) => `of ${owner}`,
		deleteStays: 'Capsules that were made from it stay as they are. No new ones can be made.',
		deletePlatform: 'It is the platform’s: no team can use it any more.',
		deletedToast: (name: string) => `Template ${name} is deleted`,
		readyToast: (name: string) => `Template ${name} is ready`,
		isPlatforms: 'It belongs to the platform. Only administrators of the platform delete it.',
		nameRule:
			'Use lower-case letters, digits, dots, dashes and underscores; begin with a letter or digit.'
	},

	// --- builds ---------------------------------------------------------------------------------------------------
	build: {
		title: 'Builds',
		new: 'New build',
		pageTitle: (name: string) => `Build of ${name}`,
		one: 'Build',
		caption: {
			team: 'The builds of your team, newest first',
			platform: 'The builds of all teams, newest first'
		},
		empty: {
			team: 'No builds yet. A build makes a template for your team from a recipe.',
			platform: 'No builds yet. A build makes a template for every team from a recipe.'
		},
		columns: {
			status: 'Status',
			template: 'Template',
			team: 'Team',
			progress: 'Progress',
			base: 'Base',
			took: 'Took',
			age: 'Age',
			why: 'Why'
		},
		from: (base: string) => `from ${base}`,
		stepsOf: (name: string) => `Steps of the build of ${name}`,
		older: 'Show older builds',
		olderLoading: 'Loading older builds…',
		logsOf: (name: string) => `The whole log of ${name}`,

		// What can be done.
		copyRecipe: 'Copy recipe',
		copyRecipeOf: (name: string) => `Copy recipe of ${name}`,
		recipeCopied: 'The recipe is copied',
		whatRecipe: 'recipe',
		noRecipe: 'It has no instructions of its own.',
		cancel: 'Cancel',
		cancelOf: (name: string) => `Cancel the build of ${name}`,
		again: 'Start again',
		againOf: (name: string) => `Start the build of ${name} again`,
		createCapsule: 'Create capsule',
		templateGone: 'Its template was deleted or replaced, or belongs to another team.',
		cancelTitle: 'Cancel this build?',
		cancelAction: 'Cancel the build',
		cancelNot: 'Let it go on',
		/** Before and after the name of the template. */
		cancelText: ['What runs is stopped at once, and no template ', ' is made. Its log is kept.'],
		queuedToast: (name: string) => `Build of ${name} is queued`,
		cancelledToast: (name: string) => `Build of ${name} is cancelled`,

		// How far it is.
		progress: 'Progress',
		waiting: 'waiting for a worker',
		stages: {
			preparing: 'preparing',
			healthcheck: 'waiting for the healthcheck',
			template: 'making the template',
			testing: 'testing the template'
		},
		step: (current: number, total: number) => `step ${current} of ${total}`,
		endedAt: (step: string) => `at ${step}`,
		connection: {
			live: 'live',
			liveHint: 'Changes show as they happen',
			lost: 'connection lost, trying again',
			lostHint: (reason: string) => `${reason} What comes meanwhile is shown then.`,
			connecting: 'connecting'
		},

		// Its page.
		notShown: 'The build cannot be shown.',
		outdated: 'This page may be out of date.',
		problem: 'What is the matter',
		failedBecause: 'Failed because',
		lastTrouble: 'Last trouble',
		goToStep: (step: number) => `Go to step ${step}`,
		steps: 'Steps',
		noSteps: 'No step was carried out.',
		outcomes: { running: 'running', cutOff: 'cut off', done: 'done', failed: 'failed' },
		cached: 'cached',
		cachedHint: 'An earlier build has come to the same; nothing was run',
		exit: (code: number) => `exit ${code}`,
		outputOf: (step: number) => `Output of step ${step}`,
		printedNothingYet: 'It has printed nothing yet.',
		printedNothing: 'It printed nothing.',
		recipe: 'Recipe',
		facts: {
			template: 'Template',
			base: 'Base',
			vcpus: 'vCPUs',
			memory: 'Memory',
			disk: 'Disk',
			healthcheck: 'Healthcheck',
			built: 'Built',
			withoutPrePost: 'without pre- and post-build',
			withoutCache: 'without the cache',
			user: 'User',
			attempt: 'Attempt',
			takes: 'Takes',
			took: 'Took',
			created: 'Created',
			started: 'Started',
			ended: 'Ended',
			buildId: 'Build id',
			templateId: 'Template id',
			teamId: 'Team id',
			capsule: 'Capsule',
			host: 'Host'
		},
		copiedName: 'template name',
		copiedId: 'build id',

		// The form.
		sourceNotRead: 'The build to start again cannot be read.',
		start: 'Start build',
		name: 'Name of the template',
		nameHint: {
			team: 'Your team sees it. One of that name is replaced when this is ready.',
			platform: 'Every team sees it. One of that name is replaced when this is ready.'
		},
		base: 'Base',
		baseHint: 'What the recipe begins with.',
		basesNotLoaded: 'The templates cannot be loaded yet.',
		teamBases: 'Your team’s',
		platformBases: 'The platform’s',
		snapshotBase: (name: string) => `${name} · snapshot`,
		archive: 'Archive',
		archiveNone: 'none',
		archiveChoose: 'Choose',
		archiveRemove: 'Without this archive',
		archiveSent: 'Sent',
		archiveSentOf: (sent: string, size: string) => `${sent} of ${size}`,
		archiveChecked: 'sent, being looked at',
		archiveHint: (endings: string, most: string) =>
			`What COPY copies from: ${endings}, up to ${most}.`,
		archiveAgain: 'The recipe copies from an archive: choose it again.',
		healthcheck: 'Healthcheck',
		healthcheckHint:
			'With one, the template keeps its memory, and capsules go on where it succeeded. Without one they boot.',
		vcpus: 'vCPUs',
		memory: 'Memory',
		disk: 'Disk',
		skipPrePost: 'Only the recipe: no pre-build, no post-build (skip_pre_post)',
		noCache: 'Run every step, also those whose outcome is known (no_cache)',
		problems: {
			base: 'Choose a template.',
			archiveKind: (name: string, endings: string) =>
				`${name} is no archive: ${endings} can be unpacked.`,
			archiveSize: (size: string, most: string) => `It has ${size}; ${most} are possible.`
		},

		// What recipes are made of.
		help: {
			title: 'Recipes',
			instructions: 'Instructions',
			lines: 'In a line',
			phases: 'What is done',
			RUN: 'Runs a command with sh, and waits for it.',
			START: 'Starts one that goes on running; needs a healthcheck.',
			ENV: 'For all that follows, and for the capsules.',
			WORKDIR: 'Where the rest runs; made if missing.',
			USER: 'Who runs the rest; made if missing, with sudo.',
			COPY: 'From the archive; owned by the user.',
			comment: 'A comment.',
			continuation: 'Goes on in the next line.',
			variable: 'A variable of ENV; $$ is a dollar sign. Commands have their shell’s.',
			preBuild: 'apt-get update, then as wrenn-user in /home/wrenn-user.',
			recipe: 'Yours. Steps whose outcome is known are not run again.',
			postBuild: 'Cleans up as root.',
			healthcheck: 'Tried in the last WORKDIR until it succeeds, if there is one.'
		}
	},

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
