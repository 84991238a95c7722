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
		pages: 'Pages',
		pageRange: (from: number, to: number, all: number) =>
			[from, to].map((n) => n.toLocaleString('en')).join('–') + ` of ${all.toLocaleString('en')}`,
		previousPage: 'Previous page',
		nextPage: 'Next page',
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
	capsule: {
		// The list
		title: 'Capsules',
		overview: 'All capsules',
		caption: 'The capsules of your team',
		create: 'Create capsule',
		noneTitle: 'No capsules yet',
		noneBefore: 'Create one here, or over REST with one of your',
		noneKeys: 'API keys',
		command: 'command',
		noMatch: 'No capsule matches.',
		clearFilter: 'Show all',
		filter: 'Filter capsules',
		filterHint: 'Id, template or maker',
		status: 'Status',
		allStatuses: 'Any status',
		shown: (n: number, all: number) =>
			n === all ? count(n, 'capsule') : `${n.toLocaleString('en')} of ${count(all, 'capsule')}`,
		columns: {
			status: 'Status',
			id: 'Capsule',
			template: 'Template',
			size: 'Size',
			maker: 'Made by',
			age: 'Age',
			idle: 'Idle'
		},
		sortBy: (column: string) => `Sort by ${column}`,
		id: 'capsule id',
		makerId: 'Maker id',
		makerTypes: { user: 'user', api_key: 'API key', system: 'platform' },
		neverUsed: 'not used yet',
		size: (vcpus: number, memory: string, disk: string) => `${vcpus} vCPU · ${memory} · ${disk}`,
		select: (id: string) => `Select ${id}`,
		selectAll: 'Select all',
		selection: 'Selected capsules',
		selected: (n: number) => `${n.toLocaleString('en')} selected`,
		unselect: 'Clear selection',

		// What can be done
		pause: 'Pause',
		resume: 'Resume',
		boot: 'Boot from disk',
		snapshot: 'Make a template',
		destroy: 'Destroy',
		actionOn: (action: string, id: string) => `${action} ${id}`,
		snapshotOf: (id: string) => `Make a template of ${id}`,

		// Why something cannot be done
		obstacles: {
			paused: 'It is paused already.',
			notRunning: 'It does not run.',
			running: 'It runs already.',
			noMemory: 'It has no memory.',
			resumeFirst: 'Resume it first.',
			notStarted: 'It has not started yet.',
			hostAway: 'Its host is away.',
			nothingLeft: 'Nothing is left of it.',
			destroying: 'It is being destroyed.',
			busy: (operation: string) => `It is busy: ${operation}.`,
			stoppedNoMemory: 'A stopped capsule has no memory.',
			notWhilePaused: 'Not while it is paused: resume it first.',
			noneSelected: 'None of the selected can do this now.'
		},

		// What is the matter with one, and what helps
		matter: 'What is the matter',
		lastError: 'Last error',
		stoppedBecause: 'Stopped because',
		remedies: {
			paused:
				'Memory and disk are kept. If the memory cannot be restored, give it up and boot from the disk.',
			hibernated: 'Its memory was given up; its disk is kept, and boots.',
			stopped: 'Its disk is kept, and boots.',
			missing: 'What became of it shows when its host is back.',
			error: 'Nothing is left of it but this entry.',
			running: 'It runs on as it was.'
		},

		// What is asked before it is done
		destroyTitle: 'Destroy this capsule?',
		destroyText: 'stops at once. Its disk and memory are deleted and cannot be brought back.',
		bootTitle: 'Give up its memory?',
		bootText:
			'is booted from its disk, which keeps what was written there. What ran in it, and its memory, cannot be brought back.',
		bulk: {
			titles: {
				pause: (n: number) => `Pause ${count(n, 'capsule')}?`,
				resume: (n: number) => `Resume ${count(n, 'capsule')}?`,
				destroy: (n: number) => `Destroy ${count(n, 'capsule')}?`
			},
			texts: {
				pause: 'What runs in them stands still. Memory and disk are kept.',
				resume:
					'Those that were paused go on where they were. Those without memory boot from disk.',
				destroy: 'They stop at once. Their disks and memory are deleted and cannot be brought back.'
			},
			leftOut: (n: number) =>
				`${count(n, 'selected capsule')} cannot do this now and ${n === 1 ? 'is' : 'are'} left out:`,
			done: {
				pause: (n: number) => `${count(n, 'capsule is', 'capsules are')} paused`,
				resume: (n: number) => `${count(n, 'capsule is', 'capsules are')} resumed`,
				destroy: (n: number) => `${count(n, 'capsule is', 'capsules are')} destroyed`
			},
			failed: (done: string, failures: string) => `${done}. Failed: ${failures}`,
			failure: (why: string, ids: string) => `${why} (${ids})`,
			more: (n: number) => `and ${n.toLocaleString('en')} more`,
			andMore: (ids: string, n: number) => `${ids} and ${n.toLocaleString('en')} more`
		},

		// How it went
		starting: (id: string) => `Capsule ${id} is being started`,
		paused: (id: string) => `Capsule ${id} is paused`,
		notPaused: (id: string, why: string) => `Capsule ${id} was not paused: ${why}`,
		resumed: (id: string) => `Capsule ${id} is resumed`,
		notResumed: (id: string, why: string) => `Capsule ${id} was not resumed: ${why}`,
		destroyed: (id: string) => `Capsule ${id} is destroyed`,
		notDestroyed: (id: string, why: string) => `Capsule ${id} was not destroyed: ${why}`,
		timeoutSet: (timeout: string) => `The idle timeout is ${timeout}`,
		noTemplateMade: (id: string, why: string) => `No template was made of ${id}: ${why}`,

		// The form for a new one
		createText: 'It starts at once.',
		createAction: 'Create',
		fields: {
			template: 'Template',
			vcpus: 'vCPUs',
			memory: 'Memory',
			disk: 'Disk',
			timeout: 'Idle timeout',
			timeoutHint: 'Paused after this long without activity. 0: never.',
			autoResume: 'Wakes on the next request when it is paused (auto_resume)',
			previewAccess: 'Who may visit its ports'
		},
		ofTeam: 'Your team’s',
		ofPlatform: 'The platform’s',
		snapshotOption: (name: string) => `${name} · snapshot`,
		templatesLoadFailed: 'The templates cannot be loaded yet.',
		fromSnapshot: 'Goes on where the capsule was. vCPUs and memory are those of the snapshot.',
		fromBase: 'Boots from a copy of the disk.',
		chooseTemplate: 'Choose a template.',

		// The form for a template
		makeTemplateText: (id: string) =>
			`${id} stays what it is. If it runs, it stands still for a moment.`,
		makeTemplate: 'Make template',
		templateName: 'Name',
		templateNameHint: 'made up if left empty',
		templateType: 'Type',
		templateTypes: {
			snapshot: 'Memory and disk: capsules go on where this one is.',
			base: 'The disk alone, made small: capsules boot, in any size.'
		},
		overwrite: 'Replace the team’s template of that name, once this one is ready',
		beingMade: 'Being made. You can close this; the capsule shows how it goes.',

		// The page of one
		tabs: {
			label: 'This capsule',
			stats: 'Stats',
			terminal: 'Terminal',
			files: 'Files',
			processes: 'Processes',
			preview: 'Preview',
			commands: 'Commands'
		},
		outdated: 'This page may be out of date.',
		cannotShow: 'The capsule cannot be shown.',
		gone: 'The capsule is gone.',
		goneText: 'It was destroyed, or your team never had it.',
		goneDestroyed: 'It was destroyed. Its disk and memory are deleted.',
		backToList: 'Back to the capsules',
		notRunning: (what: string) => `${what} there when the capsule runs. It is`,
		now: 'now.',
		wakes: 'The next request to it wakes it (auto_resume). This page makes none by itself.',
		doesNotWake:
			'Memory and disk are kept. Created with auto_resume, it would wake on the next request.',

		// Its facts
		facts: {
			status: 'Status',
			template: 'Template',
			vcpus: 'vCPUs',
			memory: 'Memory',
			disk: 'Disk',
			timeout: 'Idle timeout',
			wakes: 'Wakes on use',
			user: 'User',
			maker: 'Made by',
			created: 'Created',
			started: 'Started',
			lastActive: 'Last active',
			host: 'Host',
			templateId: 'Template id'
		},
		yes: 'yes',
		no: 'no',
		never: 'never',
		changeTimeout: 'Change the idle timeout',
		timeoutInSeconds: 'Idle timeout in seconds',
		timeoutHint: '0: never. Saving counts as activity.',

		// Its history
		history: 'History',
		entryId: 'id of the entry',
		historyNone: 'Nothing has happened yet.',
		historyFailed: 'The history cannot be loaded yet.',
		historyOutdated: 'The history may be out of date.',
		older: 'Older',
		olderFailed: 'Older entries cannot be loaded.',
		events: {
			created: 'Created',
			paused: 'Paused',
			resumed: 'Resumed',
			snapshot: 'Template made',
			timeout: 'Idle timeout set',
			preview: 'Access to ports set',
			stopped: 'Stopped',
			failed: 'Failed',
			cleaned_up: 'Cleaned up',
			missing: 'Host lost',
			found: 'Host back',
			destroyed: 'Destroyed'
		},
		eventStates: { accepted: 'in progress', failed: 'failed', refused: 'refused' },
		by: (name: string) => `by ${name}`,
		byKey: (name: string) => `by the API key ${name}`,
		byPlatform: 'by the platform',
		byPlatformFor: (why: string) => `by the platform: ${why}`,

		// Commands
		runCommands: 'Run commands',
		exec: 'Exec',
		clear: 'Clear',
		output: 'Output',
		execHint: 'Each line runs under /bin/sh -c, for at most a minute. ↑ brings the last one back.',
		commandField: 'Command',
		run: 'Run',
		running: 'running',
		exit: (code: number) => `exit ${code}`,
		earlierHidden: (n: number) => `${n.toLocaleString('en')} earlier characters are not shown`,
		truncated: 'The server kept only a part of this output.',
		resumeToRun: (status: string) => `This capsule is ${status}. Resume it to run commands.`,
		runAgainAfter: (operation: string) => `Commands run again when this is done: ${operation}.`,
		runInRunning: (status: string) => `Commands run in a running capsule; this one is ${status}.`
	},

	// --- statistics, charts ---------------------------------------------------------------------------------------
	stats: {
		range: 'Range',
		ranges: {
			'5m': '5 minutes',
			'10m': '10 minutes',
			'1h': '1 hour',
			'2h': '2 hours',
			'6h': '6 hours',
			'12h': '12 hours',
			'24h': '24 hours',
			'30d': '30 days'
		},
		last: (range: string) => `Last ${range}`,
		loadFailed: 'The statistics cannot be loaded yet.',
		outdated: 'These statistics may be out of date.',
		/** For those who do not see the chart. */
		summary: (title: string, from: string, to: string, lines: string) =>
			`${title}, ${from} to ${to}. ${lines}`,
		line: (name: string, now: string, least: string, most: string) =>
			`${name}: ${now} now, least ${least}, most ${most}.`,
		noLine: (name: string) => `${name}: nothing measured.`,
		none: 'nothing measured',
		notDrawn: 'The chart cannot be drawn now.',

		// Of the team
		running: 'Running',
		runningText: 'Capsules that run, start or resume',
		vcpus: 'vCPUs reserved',
		memory: 'Memory reserved',
		reservedText: 'Paused capsules count half',
		peak: 'Most in 30 days',
		peakRunning: (n: number) => count(n, 'capsule'),
		peakText: (vcpus: number, memory: string) => `${count(vcpus, 'vCPU')} · ${memory}`,
		runningChart: 'Running capsules',
		reservedChart: 'vCPUs and memory reserved',
		vcpuLine: 'vCPUs',
		memoryLine: 'Memory',

		// Of one capsule
		measurements: 'Measurements',
		noPoints: 'Nothing is measured yet. The first values come a few seconds after the start.',
		sources: {
			stored: 'The capsule does not run. These are its last measurements.',
			host_away: 'The host of the capsule is away. These are the last measurements that are known.'
		},
		cpu: 'CPU',
		cpuUsed: 'CPU used',
		averageOf: (time: string) => `average over ${time}`,
		memoryUsed: 'Memory used',
		disk: 'Disk',
		diskUsed: 'Disk used',
		network: 'Network',
		received: 'Received',
		sent: 'Sent',
		percent: (value: number) =>
			`${value.toFixed(value < 9.95 && !Number.isInteger(value) ? 1 : 0)} %`,
		perSecond: (size: string) => `${size}/s`,
		guest: 'As the capsule sees itself',
		guestFacts: {
			memory: 'Memory',
			cached: 'Caches',
			load: 'Load',
			disk: 'Disk'
		},
		ofAll: (all: string) => `of ${all}`,
		laterLoads: (five: string, fifteen: string) => `${five} in 5 min, ${fifteen} in 15 min`,
		inFiles: 'of files, given back when needed'
	},

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
