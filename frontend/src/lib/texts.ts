/**
 * Every text of the dashboard, by feature.
 *
 * It is one file, however long, because a translator needs one: a translation is another value of the type `Texts`. A text is a
 * string, or a function of the values in it. Messages and names that the server sends are shown unchanged.
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
		reload: 'Load the page again',
		wentWrong: 'Something went wrong.',
		backToCapsules: 'Back to the capsules',
		loading: 'Loading…',
		actions: 'Actions',
		ago: 'ago',
		copied: 'Copied',
		copyFailed: (what: string) => `The browser does not let us copy the ${what}`,
		dismiss: 'Dismiss',
		done: 'Done',
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
		sortBy: (column: string) => `Sort by ${column}`,
		filterList: 'Filter',
		showMore: 'Show more',
		loadingMore: 'Loading more…',
		listLoadFailed: 'The list cannot be loaded yet.',
		listOutdated: 'This list may be out of date.'
	},

	// --- sidebar, header, palette ---------------------------------------------------------------------------------
	shell: {
		skipToContent: 'Skip to the content',
		mainNavigation: 'Main',
		adminNavigation: 'Administration',
		adminBadge: 'Admin',
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
			hosts: 'Hosts',
			teams: 'Teams',
			users: 'Users',
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
			results: 'Pages, actions and things',
			nothing: 'Nothing is called that.',
			goTo: 'Go to',
			adminPage: (name: string) => `Administration: ${name}`,
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

	// --- checks of forms -----------------------------------------------------------------------------------------
	forms: {
		atLeastCharacters: (n: number) => `At least ${count(n, 'character')}.`,
		atMostCharacters: (n: number) => `At most ${count(n, 'character')}.`,
		wholeNumber: (label: string) => `${label} must be a whole number.`,
		atLeast: (label: string, n: number) => `${label} must be at least ${n}.`,
		atMost: (label: string, n: number) => `${label} must be at most ${n}.`
	},

	// --- signing in and up, the account ---------------------------------------------------------------------------
	session: {
		expired: 'Your session has ended. Sign in again.',
		disabled: 'Your account is switched off. Ask an administrator of this installation.',
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
		id: 'capsule id',
		makerId: 'Maker id',
		makerTypes: { user: 'user', api_key: 'API key', system: 'platform' },
		neverUsed: 'not used yet',
		idle: 'idle',
		size: (vcpus: number, memory: string, disk: string) => `${vcpus} vCPU · ${memory} · ${disk}`,
		select: (id: string) => `Select ${id}`,
		selectAll: 'Select all',
		selection: 'Selected capsules',
		selected: (n: number) => `${n.toLocaleString('en')} selected`,
		unselect: 'Clear selection',

		// The actions
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

		// The problem of a capsule, and what helps
		matter: 'What is the matter',
		lastError: 'Last error',
		warnings: 'Warnings',
		warningsText: 'A part of this capsule could not be prepared, because of what is on its disk:',
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

		// The questions before an action
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

		// The outcome of an action
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
	terminal: {
		title: 'Terminals',
		notRunning: 'Its terminals are',
		openTerminals: 'Open terminals',
		newTerminal: 'New terminal',
		newWithProgram: 'New terminal with another program or user',
		capsuleDown: 'The capsule does not run.',
		unknown: 'What runs is not known.',
		none: 'No terminal is open here.',
		looking: 'Looking for terminals that run…',
		elsewhere: 'Running, not open here',
		running: 'Running terminals',
		takeUp: 'Take up',
		pid: (pid: number) => `pid ${pid}`,
		copy: 'Copy the selection (Ctrl+Shift+C)',
		selection: 'selection',
		nothingSelected: 'Nothing is selected.',
		paste: 'Paste (Ctrl+Shift+V)',
		pasteFailed: 'The browser does not let us paste. Ctrl+Shift+V does.',
		notConnected: 'It is not connected.',
		detach: 'Detach: the program runs on',
		end: 'End the program',
		endQuestion: 'End this program?',
		endAction: 'End',
		endText:
			'and everything that it has started are killed. To leave it running, detach it instead.',
		reconnectNow: 'Reconnect now',
		orWakes: 'or let the next request wake it (auto_resume)',
		columnsAndRows: 'Columns and rows',
		tag: 'The tag of this terminal',
		leave: 'leave with Ctrl+Shift+↑',
		leaveTitle: 'Moves the keyboard out of the terminal',
		program: {
			open: 'Open',
			program: 'Program',
			shell: '/bin/bash',
			hint: 'With arguments, as the shell takes them.',
			user: 'User',
			folder: 'Folder',
			home: 'the user’s home'
		},
		life: {
			starting: 'starting',
			connecting: 'connecting',
			reconnecting: 'reconnecting',
			connected: 'connected',
			checking: 'looking at the capsule',
			waiting: (reason: string, seconds: number) =>
				`${reason}; it runs on, and is reconnected in ${seconds} s`,
			asleep: (status: string) => `the capsule is ${status}; this goes on when it runs`,
			ended: (code: number) => `ended with exit code ${code}`,
			lost: (reason: string) => `lost: ${reason}`
		},
		says: {
			exit: (code: number) => `exit ${code}`,
			notKept: (size: string) => `${size} of output were not kept`,
			tooFast: (size: string) => `${size} came too fast to be shown`
		}
	},

	// --- processes ------------------------------------------------------------------------------------------------
	process: {
		notRunning: 'Its processes are',
		caption: 'The processes that were started through the API, oldest first',
		columns: { pid: 'Pid', command: 'Command', tag: 'Tag', user: 'User', age: 'Age' },
		what: { tag: 'tag' },
		terminal: 'terminal',
		openTerminal: 'Open',
		openTerminalOf: (pid: number) => `Open the terminal of ${pid}`,
		follow: 'Follow',
		followOf: (pid: number) => `Follow the output of ${pid}`,
		sendSignal: (signal: string, pid: number) => `Send ${signal} to ${pid}`,
		one: (pid: number) => `process ${pid}`,
		signals: {
			SIGTERM: 'asks it to end',
			SIGKILL: 'ends it and its descendants at once',
			SIGINT: 'as Ctrl-C',
			SIGHUP: 'its terminal is gone; many read their settings again',
			SIGQUIT: 'ends it, with a core dump',
			SIGUSR1: 'what the program likes',
			SIGUSR2: 'what the program likes',
			SIGSTOP: 'lets it stand still',
			SIGCONT: 'lets it go on'
		},
		sent: (signal: string, pid: number) => `${signal} was sent to ${pid}`,
		notSent: (signal: string, pid: number, why: string) =>
			`${signal} was not sent to ${pid}: ${why}`,
		runInBackground: 'Run in the background',
		command: 'Command to run in the background',
		commandExample: 'python3 -m http.server 8080',
		start: 'Start',
		started: (pid: number) => `Process ${pid} is started`,
		notStarted: 'It was not started.',
		nothing:
			'Nothing runs that was started through the API. What the system itself runs is not listed.',
		kill: (pid: number) => `Kill process ${pid}?`,
		killAction: 'Kill',
		killText: 'and everything that it has started end at once.',
		output: 'Output',
		outputOf: (pid: number) => `Output of ${pid}`,
		connecting: 'connecting',
		following: 'following',
		exit: (code: number) => `exit ${code}`,
		followAgain: 'Follow again',
		closeOutput: 'Close the output',
		nothingPrinted: 'It has printed nothing yet.',
		notKept: (size: string) => `${size} of output were not kept`
	},

	// --- what programs print --------------------------------------------------------------------------------------
	output: {
		hidden: (n: number) => `${count(n, 'earlier character')} are not shown`,
		toEnd: 'To the end'
	},

	// --- files ----------------------------------------------------------------------------------------------------
	files: {
		title: 'Files',
		notRunning: 'Its files are',
		divider: 'Width of the tree',
		path: {
			label: 'Path',
			crumbs: 'Folder',
			type: 'Type a path',
			go: 'Go',
			hint: 'A folder or a file. Without a slash at the beginning it starts at this folder.'
		},
		live: 'live',
		liveTitle: 'Changes show as they happen',
		refresh: 'Look again',
		rightsOf: 'With the rights of',
		withRightsOf: (user: string) => `With the rights of ${user}`,
		newFile: 'New file',
		newFolder: 'New folder',
		upload: 'Upload',
		uploadTo: (folder: string) => `Upload into ${folder}`,
		uploadInput: 'Files to upload',
		dropHere: 'Drop to upload into',
		dropFailed: 'What was dropped cannot be read',
		folderFailed: 'The folder cannot be shown.',
		folderOutdated: 'This folder may be out of date.',
		empty: 'This folder is empty. Files can be dropped here.',
		tree: {
			label: (folder: string) => `Files in ${folder}`,
			sortBy: 'Sort by',
			columns: { name: 'Name', size: 'Size', modified: 'Modified' },
			ascending: 'ascending',
			descending: 'descending',
			entries: (n: number) => count(n, 'entry', 'entries'),
			more: (n: number) => `The first ${count(n, 'entry', 'entries')}; there are more`,
			loading: 'Loading…',
			emptyFolder: 'Empty',
			moreInFolder: 'There are more than are listed.',
			details: 'Details',
			back: 'Back to the tree'
		},
		link: 'link',
		special: {
			fifo: 'pipe',
			socket: 'socket',
			char_device: 'device',
			block_device: 'device'
		},
		bytes: (n: number) => count(n, 'byte'),
		modified: 'Modified',
		what: { path: 'path', text: 'text' },
		actions: {
			open: 'Open',
			openOf: (name: string) => `Begin the tree at ${name}`,
			edit: 'Edit',
			editOf: (name: string) => `Edit ${name}`,
			download: 'Download',
			downloadOf: (name: string) => `Download ${name}`,
			rename: 'Rename',
			renameOf: (name: string) => `Rename ${name}`,
			remove: 'Delete',
			removeOf: (name: string) => `Delete ${name}`
		},
		obstacles: {
			unsaved: 'Save or discard your changes first.',
			noFile: 'Only files can be downloaded.',
			downloading: 'It is being downloaded.',
			notText: 'Only texts can be edited.',
			tooLarge: (most: string) => `Only texts of up to ${most} can be edited.`,
			isEdited: 'It is being edited.'
		},
		preview: {
			label: 'Preview',
			nothing: 'Choose a file to see what is in it.',
			loadingOf: (name: string) => `Loading ${name}…`,
			failed: 'It cannot be shown.',
			emptyFile: 'The file is empty.',
			folder: 'This is a folder.',
			special: 'This is not a file with content.',
			binary: 'This is not text. It can be downloaded.',
			large: (most: string) => `Files over ${most} are not shown. It can be downloaded.`,
			brokenImage: 'The browser cannot show this image. It can be downloaded.',
			text: (name: string) => `Text of ${name}`,
			firstLines: (n: number) => `Only the first ${count(n, 'line')} are shown.`,
			beginning: 'Only the beginning is shown.',
			cutLines: (n: number) => `Lines are cut after ${count(n, 'character')}.`,
			downloadAll: 'Download the whole file'
		},
		edit: {
			label: (name: string) => `Edit the text of ${name}`,
			unsaved: 'Not saved',
			save: 'Save',
			discard: 'Discard',
			done: 'Stop editing',
			saved: (path: string) => `${path} is saved`,
			failed: 'It was not saved.',
			changed: 'The file was changed since it was read.',
			ownerChanges: (owner: string, user: string) =>
				`It belongs to ${owner}. Saved here it belongs to ${user}.`
		},
		dialogs: {
			name: 'Name',
			newFile: 'New file',
			newFolder: 'New folder',
			newIn: (folder: string) => `In ${folder}; slashes make folders in it.`,
			makeFile: 'Make file',
			makeFolder: 'Make folder',
			rename: (name: string) => `Rename ${name}`,
			renameHint: 'With slashes it is moved; a path that begins with one is taken as it is.',
			renameAction: 'Rename',
			replaceThere: 'Replace what is there',
			removeFile: 'Delete this file?',
			removeFolder: 'Delete this folder?',
			removeAction: 'Delete',
			fileIsLost: 'is deleted and cannot be brought back.',
			folderIsLost: (entries: number | null) =>
				entries === null
					? 'and everything in it are deleted and cannot be brought back.'
					: `and everything in it (${count(entries, 'entry', 'entries')} and what is in them) are deleted and cannot be brought back.`,
			linkIsLost: 'is deleted. What it leads to stays.',
			replace: (n: number) => `Replace ${count(n, 'file')}?`,
			replaceAction: 'Replace',
			areThere: (n: number) =>
				n === 1 ? 'A file of this name is already in' : 'Files of these names are already in',
			discard: 'Discard your changes?',
			discardAction: 'Discard',
			discardStay: 'Go on editing',
			discardText: 'What you typed is not saved. It is lost if you leave:',
			overwrite: 'Replace what others wrote?',
			overwriteAction: 'Replace',
			overwriteText:
				'was changed or deleted since you began to edit it. Saving replaces it with your text.'
		},
		transfers: {
			title: 'Transfers',
			clear: 'Clear',
			upload: 'Upload',
			download: 'Download',
			waiting: 'waiting',
			finishing: 'finishing',
			done: 'done',
			cancelled: 'cancelled',
			of: (done: string, total: string) => `${done} of ${total}`,
			retry: (path: string) => `Try ${path} again`,
			cancel: (path: string) => `Cancel ${path}`,
			progress: (path: string) => `Progress of ${path}`
		},
		made: (path: string) => `${path} is made`,
		taken: (path: string) => `${path} exists already`,
		renamed: (from: string, to: string) => `${from} is ${to} now`,
		deleted: (path: string) => `${path} is deleted`,
		notDeleted: (path: string, why: string) => `${path} was not deleted: ${why}`,
		nameProblems: {
			empty: 'It needs a name.',
			reserved: 'This name is taken by the system.',
			nul: 'A name cannot contain a NUL.',
			long: 'A name has at most 255 bytes.'
		}
	},

	// --- previews -------------------------------------------------------------------------------------------------
	preview: {
		open: 'Open a port',
		explanation:
			'A program in the capsule that listens on a port is reached at an address of its own. It must listen on 0.0.0.0 or 127.0.0.1; WebSockets work, too.',
		wakes: 'The capsule is paused. The first visit wakes it (auto_resume).',
		notRunning: (status: string) => `The capsule is ${status}: nothing answers until it runs.`,
		port: 'Port',
		portProblem: 'A port is a number from 1 to 65535.',
		openPreview: 'Open preview',
		link: 'Link',
		linkWithToken: 'Link, with the token',
		what: { link: 'link', token: 'token' },
		accessTitle: 'Access',
		whoMayVisit: 'Who may visit',
		access: {
			token: {
				label: 'With the token',
				text: 'Whoever has a link with the token. A browser keeps it in a cookie.'
			},
			public: {
				label: 'Everybody',
				text: 'Whoever knows the address, without signing in anywhere.'
			}
		},
		token: 'Token',
		tokenHeader: 'Programs send it as the header',
		tokenTo: 'to',
		newToken: 'New token',
		rotate: 'Make a new token?',
		rotateAction: 'Make a new token',
		rotateText:
			'Links with the present one lead nowhere from then on, also for those who have opened them.',
		rotated: 'The token is new',
		isPublic: 'The preview needs no token now',
		needsToken: 'The preview needs the token now',
		notChanged: (why: string) => `The preview was not changed: ${why}`
	},

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
		/** Follows its name and size. */
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
		faultAt: (line: number, instruction: string | null | undefined, message: string) =>
			`Line ${line}: ${instruction == null ? '' : `${instruction}: `}${message}`,
		moreFaults: (n: number) => `${count(n, 'more fault')} below`,
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

		// The actions.
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

		// The progress of a build.
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
			looking: 'not live, looked at every 3 seconds',
			lookingHint: (reason: string) =>
				`${reason} Of each step that has ended, the end of what it printed is shown. The rest comes with the connection.`,
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
		draft: 'This is what you typed before. It was not sent.',
		startOver: 'Start over',
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

		// The parts of a recipe.
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
		created: (name: string) => `Team ${name} is created`,
		about: 'About the team',
		slug: 'Slug',
		id: 'Team id',
		since: 'Created',
		rename: 'Rename the team',
		renamed: (name: string) => `The team is called ${name} now`,
		roles: { owner: 'Owner', admin: 'Admin', member: 'Member' },
		loadFailed: 'The team cannot be loaded yet.',
		noTeam: 'You are in no team.',
		noTeamHint: 'Create one to have capsules, members and keys.',

		members: 'Members',
		memberCount: (n: number) => count(n, 'member'),
		membersCaption: 'The members of your team, the owner first',
		noMembers: 'There are no members.',
		columns: {
			name: 'Name',
			email: 'Email',
			role: 'Role',
			since: 'Member since',
			invited: 'Invited',
			expires: 'Ends'
		},
		you: 'you',

		add: 'Add',
		addTitle: 'Add somebody',
		email: 'Email address',
		emailPlaceholder: 'name@example.org',
		emailHint: 'Type the beginning of an address to find an account.',
		role: 'Role',
		notAnAddress: 'Enter a whole email address, such as name@example.org.',
		found: (n: number) => count(n, 'account'),
		foundNobody: 'No account begins like that. You can enter the whole address.',
		searchFailed: 'Accounts cannot be searched now. You can enter the whole address.',
		suggestions: 'Accounts',
		added: (name: string) => `${name} is in the team now`,
		invitedByMail: (email: string) => `An invitation is on its way to ${email}`,
		invitedByLink: (email: string) => `The invitation for ${email} is made`,
		linkText: (email: string) =>
			`There is no account for ${email}, and this server sends no mail. Give this person the link. It is shown only now.`,
		link: 'invitation link',

		invitations: 'Open invitations',
		invitationsHint: 'An invitation ends after a week, or when it is accepted.',
		invitationsCaption: 'The open invitations of your team, newest first',
		noInvitations: 'Nobody is invited.',
		in: (time: string) => `in ${time}`,
		revoke: 'Revoke',
		revokeOf: (email: string) => `Revoke the invitation of ${email}`,
		revokeTitle: 'Revoke this invitation?',
		revokeText: (email: string) => `The link that ${email} has does nothing from then on.`,
		revoked: (email: string) => `The invitation of ${email} is revoked`,
		notRevoked: (email: string, why: string) =>
			`The invitation of ${email} was not revoked: ${why}`,

		remove: 'Remove',
		removeOf: (name: string) => `Remove ${name}`,
		removeTitle: (name: string) => `Remove ${name}?`,
		removeText: (name: string) =>
			`${name} can no longer use the team. The API keys that ${name} made for it are deleted. Capsules and templates stay.`,
		removed: (name: string) => `${name} is no longer in the team`,
		notRemoved: (name: string, why: string) => `${name} was not removed: ${why}`,
		promote: 'Make admin',
		promoteOf: (name: string) => `Make ${name} an admin`,
		demote: 'Make member',
		demoteOf: (name: string) => `Make ${name} a member`,
		demoteSelfTitle: 'Give up your role?',
		demoteSelfText:
			'You become a member. Only another admin or the owner can make you an admin again.',
		handOver: 'Hand over the team',
		handOverOf: (name: string) => `Hand over the team to ${name}`,
		handOverTitle: (name: string) => `Hand over the team to ${name}?`,
		handOverText: (name: string) =>
			`${name} becomes the owner, and you become an admin. Only ${name} can give the team back, or delete it.`,
		roleSet: (name: string, role: string) => `${name} is ${role} now`,
		roleNotSet: (name: string, why: string) => `The role of ${name} was not changed: ${why}`,
		ownerStays: 'The owner can hand over the team first.',
		removeSelf: 'You can leave the team below.',
		roleHeld: (role: string) => `The role is ${role} already.`,

		danger: 'Leave or delete',
		leave: 'Leave team',
		leaveHint: 'Your API keys of this team are deleted. What the team has stays.',
		leaveTitle: (name: string) => `Leave ${name}?`,
		leaveText: (keys: number | null) =>
			`You can no longer use its capsules and templates. ${
				keys === null ? 'Your API keys' : `Your ${count(keys, 'API key')}`
			} of this team ${keys === 1 ? 'is' : 'are'} deleted. Somebody has to add you before you can come back.`,
		ownerCannotLeave: 'The owner cannot leave. Hand over the team first, or delete it.',
		left: (name: string) => `You have left ${name}`,
		lost: 'You are no longer a member of the team that you acted for.',
		delete: 'Delete team',
		deleteHint: 'Everything that the team has is destroyed.',
		deleteTitle: (name: string) => `Delete ${name}?`,
		deleteText: 'This destroys everything that the team has, and cannot be undone:',
		deleteCounts: {
			capsules: (n: number) => `${count(n, 'capsule')}, with disk and memory`,
			templates: (n: number) => count(n, 'template'),
			keys: (n: number) => count(n, 'API key'),
			channels: (n: number) => count(n, 'channel'),
			members: (n: number) =>
				n === 1 ? 'your membership' : `the membership of ${count(n, 'person', 'people')}`
		},
		deleteOthers: 'builds, usage, and the hosts that the team has brought',
		deleteConfirm: (name: string) => `Type ${name} to confirm`,
		deleteNotYet: 'Type the name of the team first.',
		deleted: (name: string) => `Team ${name} is deleted`
	},

	// --- all teams, for administrators of the platform ------------------------------------------------------------
	allTeams: {
		caption: 'The teams of the platform',
		count: (n: number, hasMore: boolean) =>
			hasMore ? `The newest ${count(n, 'team')}` : count(n, 'team'),
		found: (n: number) => `${count(n, 'team')} found`,
		empty: 'There are no teams yet. Everybody who signs up gets one.',
		columns: {
			name: 'Team',
			owner: 'Owner',
			members: 'Members',
			running: 'Running',
			limits: 'Limits',
			byoc: 'Own hosts',
			created: 'Age'
		},
		filter: {
			text: 'Name, id or owner',
			kind: 'Kind of team',
			all: 'All teams',
			kinds: {
				present: 'Not deleted',
				byoc: 'With hosts of their own',
				limited: 'With limits of their own',
				deleted: 'Deleted'
			},
			none: 'No team matches.',
			clear: 'Show all'
		},
		id: 'team id',
		deletedMark: 'deleted',
		noOwner: 'no owner',
		memberCount: (n: number) => count(n, 'member'),
		runningCount: (n: number) => `${n.toLocaleString('en')} running`,
		defaultLimits: 'default',
		ownLimits: (n: number) => `${n} set`,
		limitCount: (n: number) => (n === 0 ? 'default limits' : count(n, 'limit')),
		ownHosts: 'own hosts',
		byocOn: 'allowed',
		byocOff: 'no',
		isDeleted: 'The team is deleted.',

		// Its limits
		limits: 'Limits',
		limitsOf: (name: string) => `Limits of ${name}`,
		limitsTitle: (name: string) => `Limits of ${name}`,
		limitsText:
			'An empty field takes the platform’s default. A limit below what the team uses takes nothing away; it refuses more.',
		factsFailed: 'The defaults and the present use cannot be loaded.',
		inUse: (amount: string) => `${amount} in use now`,
		default: 'default',
		defaultIs: (limit: string) => `default: ${limit}`,
		quotaSet: (name: string) => `The limits of ${name} are set`,

		// Hosts of its own
		allowByoc: 'Allow own hosts',
		allowByocOf: (name: string) => `Allow ${name} to bring hosts`,
		allowByocTitle: (name: string) => `Allow ${name} to bring hosts?`,
		allowByocText:
			'Its new capsules and builds run on its own hosts only. They are refused until the team has a host.',
		forbidByoc: 'Forbid own hosts',
		forbidByocOf: (name: string) => `Forbid ${name} to bring hosts`,
		forbidByocTitle: (name: string) => `Forbid ${name} to bring hosts?`,
		forbidByocText:
			'Its new capsules and builds run on the hosts of the platform. The hosts that it has brought stay, and its templates that were made on them run nowhere else.',
		runningStay: (n: number) =>
			n === 0
				? 'No capsule of the team runs now.'
				: `${count(n, 'running capsule')} ${n === 1 ? 'stays' : 'stay'} where ${n === 1 ? 'it is' : 'they are'}.`,
		byocAllowed: (name: string) => `${name} may bring hosts now`,
		byocForbidden: (name: string) => `${name} may not bring hosts any more`,

		// Its end
		delete: 'Delete team',
		deleteOf: (name: string) => `Delete ${name}`,
		deleteCapsules: (running: number) =>
			`all capsules, with disk and memory; ${running.toLocaleString('en')} of them ${running === 1 ? 'runs' : 'run'} now`,
		deleteMembers: (n: number) => `the membership of ${count(n, 'person', 'people')}`,
		deleteOthers:
			'templates, API keys, channels, invitations, builds, and the hosts that the team has brought'
	},

	// --- all users, for administrators of the platform ------------------------------------------------------------
	user: {
		caption: 'The users of the platform',
		count: (n: number, hasMore: boolean) =>
			hasMore ? `The newest ${count(n, 'user')}` : count(n, 'user'),
		found: (n: number) => `${count(n, 'user')} found`,
		empty: 'There are no users.',
		columns: { name: 'Name', email: 'Email', state: 'State', teams: 'Teams', created: 'Age' },
		filter: {
			text: 'Name, address or id',
			kind: 'Kind of user',
			all: 'All users',
			kinds: {
				active: 'Active',
				disabled: 'Switched off',
				admins: 'Administrators',
				teamless: 'In no team'
			},
			none: 'No user matches.',
			clear: 'Show all'
		},
		id: 'user id',
		you: 'you',
		active: 'active',
		disabled: 'switched off',
		admin: 'platform admin',
		teams: (joined: number, owned: number) =>
			owned === 0 ? joined.toLocaleString('en') : `${joined.toLocaleString('en')}, owns ${owned}`,
		teamCount: (n: number) => count(n, 'team'),
		ownAccount: 'You cannot switch off your own account. Another administrator can.',
		lastAdmin:
			'This is the last active administrator of the platform. Make another user one first.',
		acts: {
			switchOff: 'Switch off',
			switchOn: 'Switch on',
			makeAdmin: 'Make administrator',
			unmakeAdmin: 'Take administration back',
			resetLink: 'Link for a new password'
		},
		actsOn: {
			switchOff: (name: string) => `Switch off ${name}`,
			switchOn: (name: string) => `Switch on ${name}`,
			makeAdmin: (name: string) => `Make ${name} an administrator`,
			unmakeAdmin: (name: string) => `Take the administration from ${name}`,
			resetLink: (name: string) => `Make a link for a new password of ${name}`
		},
		switchOffTitle: (name: string) => `Switch off ${name}?`,
		switchOffText: (email: string) =>
			`All sessions of ${email} end at once, and the API keys of this user stop working. Nobody can sign in to the account until it is switched on.`,
		teamsStay: (n: number) =>
			n === 0
				? 'The user is in no team.'
				: `The user’s ${n === 1 ? 'team' : `${n} teams`} and what runs there stay.`,
		makeAdminTitle: (name: string) => `Make ${name} an administrator of the platform?`,
		makeAdminText:
			'Administrators see and change all teams, users, capsules and hosts, and the settings of the platform.',
		unmakeAdminTitle: (name: string) => `Take the administration from ${name}?`,
		unmakeAdminText: 'This holds from the next request of the user on. The teams of the user stay.',
		unmakeSelfTitle: 'Give up the administration?',
		unmakeSelfText:
			'You can no longer open these pages. Only another administrator can make you one again.',
		switchedOff: (name: string) => `The account of ${name} is switched off`,
		switchedOn: (name: string) => `The account of ${name} is switched on`,
		notSwitchedOn: (name: string, why: string) =>
			`The account of ${name} was not switched on: ${why}`,
		adminMade: (name: string) => `${name} is an administrator now`,
		adminUnmade: (name: string) => `${name} is no administrator any more`,
		link: 'link',
		linkTitle: (name: string) => `Link for a new password of ${name}`,
		linkText: (email: string) =>
			`Give this link to the owner of ${email}, and to nobody else. It is good once, for an hour, and is shown only now. A link that was made before does nothing any more.`,
		linkOff: 'The account is switched off: the new password works when it is switched on.',
		linkFailed: 'There is no link.'
	},

	// --- API keys -------------------------------------------------------------------------------------------------
	key: {
		create: 'Create key',
		createTitle: 'Create API key',
		createAction: 'Create',
		summary: 'Programs send one as',
		name: 'Name',
		namePlaceholder: 'ci, laptop, …',
		nameHint: 'Says which program uses it.',
		scopes: 'What it may do',
		scopeTexts: {
			read: {
				label: 'read',
				text: 'See everything that lists and pages show. Nothing inside a capsule.'
			},
			capsules: {
				label: 'capsules',
				text: 'Make, use and destroy capsules, and templates that are made of them.'
			},
			builds: { label: 'builds', text: 'Build templates from recipes.' },
			admin: { label: 'admin', text: 'Change the team, its members and its keys.' }
		},
		noScope: 'Choose at least one.',
		expiry: 'Ends',
		expiries: {
			never: 'Never',
			week: 'After 7 days',
			month: 'After 30 days',
			quarter: 'After 90 days',
			date: 'On a date'
		},
		date: 'Last day',
		dateProblem: 'Choose a day that is not over, such as 2027-01-31.',
		reveal: 'Copy it now. It is stored as a hash and cannot be shown again.',
		what: 'API key',
		caption: 'The API keys of your team, newest first',
		columns: {
			name: 'Name',
			key: 'Key',
			scopes: 'May',
			creator: 'Made by',
			age: 'Age',
			expires: 'Ends',
			lastUsed: 'Last used'
		},
		never: 'never',
		expired: 'ended',
		expiredAt: (time: string) => `Ended at ${time}`,
		soon: 'ends soon',
		in: (time: string) => `in ${time}`,
		loadFailed: 'The keys cannot be loaded.',
		none: 'No API keys yet. Programs need one to talk to this server.',
		delete: 'Delete',
		deleteOf: (name: string) => `Delete ${name}`,
		deleteTitle: 'Delete this key?',
		deleteText: (name: string, prefix: string) =>
			`Programs that use ${name} (${prefix}…) are refused from then on.`,
		deleted: (name: string) => `Key “${name}” is deleted`,
		notDeleted: (name: string, why: string) => `Key “${name}” was not deleted: ${why}`
	},

	// --- the audit log --------------------------------------------------------------------------------------------
	audit: {
		refresh: 'Refresh',
		older: 'Show older entries',
		end: 'These are all entries that match.',
		none: 'No entry matches.',
		loadFailed: 'The audit log cannot be loaded.',
		summary: 'What was changed, by whom, and how it ended. Entries are kept for 400 days.',
		caption: {
			team: 'What was changed in your team, newest first',
			platform: 'What was changed in all teams and on the platform, newest first'
		},
		columns: {
			time: 'Time',
			team: 'Team',
			who: 'Who',
			what: 'What',
			resource: 'Which',
			outcome: 'Outcome'
		},
		ofPlatform: 'Platform',
		exportCsv: 'Export',
		exportCsvOf: 'Export what matches as CSV',
		exportJsonl: 'Export as JSON Lines',
		exportMenu: 'the export',
		exporting: 'The export is being made.',
		exported: (file: string) => `${file} is complete`,
		notExported: (why: string) => `The log was not exported: ${why}`,
		filters: 'Filters',
		filter: {
			resource: 'Kind',
			action: 'Action',
			actor: 'Who',
			actorId: 'Actor id',
			actorHint: 'usr-…, key-…, host-…',
			since: 'From',
			until: 'To',
			anything: 'All',
			anybody: 'Everybody',
			members: 'Members',
			keys: 'API keys',
			others: 'Others',
			clear: 'Clear'
		},
		outcomes: {
			accepted: 'in progress',
			succeeded: 'done',
			failed: 'failed',
			refused: 'refused'
		},
		actors: {
			api_key: (name: string) => `API key ${name}`,
			host: (name: string) => `Host ${name}`,
			system: 'The server',
			anonymous: 'Somebody who is not signed in',
			unknown: 'Unknown'
		},
		reasons: {
			idle: 'it was idle',
			traffic: 'somebody visited it',
			build: 'a build needed it',
			build_clean_up: 'a build has ended',
			machine_clean_up: 'its machine was gone',
			retention: 'it was kept long enough',
			bootstrap: 'the platform was set up',
			team_deleted: 'the team was deleted',
			host_deleted: 'its host was deleted',
			dead_channel: 'its receiver does not answer',
			operator: 'the operator wanted it'
		} as Record<string, string>,
		resources: {
			api_key: 'API keys',
			build: 'Builds',
			capsule: 'Capsules',
			channel: 'Channels',
			host: 'Hosts',
			invitation: 'Invitations',
			member: 'Members',
			server: 'Settings of the platform',
			team: 'Teams',
			template: 'Templates',
			user: 'Accounts'
		} as Record<string, string>,
		actions: {
			'api_key.create': 'Create an API key',
			'api_key.delete': 'Delete an API key',
			'build.create': 'Begin a build',
			'build.create_platform': 'Begin a build for every team',
			'build.cancel': 'Cancel a build',
			'build.cancel_any': 'Cancel any build',
			'capsule.create': 'Create a capsule',
			'capsule.destroy': 'Destroy a capsule',
			'capsule.pause': 'Pause a capsule',
			'capsule.preview': 'Change who may visit a port',
			'capsule.resume': 'Resume a capsule',
			'capsule.timeout': 'Change the timeout of a capsule',
			'channel.configure': 'Replace the configuration of a channel',
			'channel.create': 'Create a channel',
			'channel.delete': 'Delete a channel',
			'channel.update': 'Change a channel',
			'host.add_tag': 'Tag a host',
			'host.create': 'Create a host',
			'host.delete': 'Delete a host',
			'host.drain': 'Drain or open a host',
			'host.issue_token': 'Make a token for a host',
			'host.register': 'Register a host',
			'host.remove_tag': 'Remove the tag of a host',
			'invitation.accept': 'Accept an invitation',
			'invitation.create': 'Invite somebody',
			'invitation.delete': 'Revoke an invitation',
			'member.add': 'Add a member',
			'member.leave': 'Leave the team',
			'member.remove': 'Remove a member',
			'member.set_role': 'Change the role of a member',
			'settings.rotate_token_key': 'Sign tokens with a new key',
			'settings.set': 'Change the settings of the platform',
			'team.byoc': 'Change whether the team brings hosts',
			'team.create': 'Create the team',
			'team.delete': 'Delete the team',
			'team.delete_any': 'Delete any team',
			'team.quota': 'Change the limits of the team',
			'team.rename': 'Rename the team',
			'template.create': 'Make a template',
			'template.delete': 'Delete a template',
			'template.delete_any': 'Delete any template',
			'user.activate': 'Confirm an address',
			'user.active': 'Disable or enable an account',
			'user.admin': 'Change who administers the platform',
			'user.begin_totp': 'Begin to set up a second factor',
			'user.change_password': 'Change the password',
			'user.connect_provider': 'Connect a provider',
			'user.create_reset_link': 'Make a link that sets a new password',
			'user.delete': 'Delete the account',
			'user.disable_totp': 'Turn off the second factor',
			'user.disconnect_provider': 'Disconnect a provider',
			'user.enable_totp': 'Turn on the second factor',
			'user.log_out': 'Sign out',
			'user.rename': 'Change the name of the account',
			'user.reset_password': 'Set a new password by a link',
			'user.sign_up': 'Sign up'
		} as Record<string, string>,
		details: {
			show: (what: string) => `Details of “${what}”`,
			entry: 'Entry id',
			actor: 'Actor id',
			resource: 'Resource id',
			team: 'Team id',
			onlyActor: 'Only this actor',
			action: 'Action',
			settled: 'Ended at',
			error: 'Reason',
			metadata: 'Further facts',
			noMetadata: 'none'
		}
	},

	// --- the platform, for its administrators ---------------------------------------------------------------------
	platform: {
		capsules: {
			summary: 'Those of all teams. Only members of a team can use or destroy its capsules.',
			caption: 'The capsules of all teams, newest first',
			columns: {
				status: 'Status',
				id: 'Capsule',
				team: 'Team',
				template: 'Template',
				host: 'Host',
				size: 'Size',
				age: 'Age'
			},
			filters: 'Filters',
			filterHint: 'Id, team, template or host',
			team: 'Team',
			allTeams: 'All teams',
			host: 'Host',
			allHosts: 'All hosts',
			hostId: 'host id',
			noHost: 'no host yet',
			none: 'No team has a capsule now.',
			open: 'Open',
			openOf: (id: string) => `Open ${id}`,
			ofAnotherTeam: 'It belongs to another team.',
			cut: (n: number) => `Only the newest ${count(n, 'capsule')} are listed.`
		},
		settings: {
			summary: 'They hold for all teams.',
			loadFailed: 'The settings cannot be loaded.',
			quota: {
				title: 'Limits of teams',
				text: 'What a team can use, unless it has limits of its own. An empty field is no limit. What is used beyond a new limit stays, and nothing is added to it.',
				hints: {
					running_capsules: 'Capsules that run, start or resume at one time.',
					vcpus: 'Of the capsules that run.',
					memory_mb: 'Of the capsules that run.',
					disk_mb: 'Disks of all capsules, also of those that are paused.',
					templates: 'Templates of its own, built or made of capsules.',
					paused_capsules: 'Capsules that are paused at one time.',
					concurrent_builds: 'Builds that have not ended.'
				},
				still: (value: string) => `Not saved. Still ${value}.`,
				unsaved: (n: number) => `${count(n, 'change is', 'changes are')} not saved.`,
				allSaved: 'Everything is saved.',
				nothingChanged: 'Nothing is changed.',
				discard: 'Discard'
			},
			saved: 'The settings are saved',
			leave: {
				title: 'Discard your changes?',
				text: 'The settings that you changed are not saved.',
				action: 'Discard',
				stay: 'Go on editing'
			},
			tokenKey: {
				title: 'Key of sessions',
				text: 'The server signs the tokens of sessions with it. Replace it if somebody else may know it.',
				summary: 'The next tokens are signed with a new key, on every server within half a minute.',
				ask: 'New key',
				question: 'Sign tokens with a new key?',
				explanation: 'API keys, and the tokens of hosts and previews, stay as they are.',
				sessions: 'Sessions that are open now',
				keep: 'Keep them',
				keepText: 'Tokens of the former key stay valid for the rest of their six hours.',
				end: 'End them all',
				endText: 'Because a key was stolen: everybody signs in again, also you.',
				action: 'Make a new key',
				done: (id: string) => `Tokens are signed with the key ${id} now`,
				doneEnded: 'The key is new, and all sessions are ended. Sign in again.'
			}
		}
	},

	// --- channels of notifications --------------------------------------------------------------------------------
	channel: {
		create: 'Create channel',
		summary: 'They tell programs and chats what happens.',
		name: 'Name',
		nameHint: 'Says who is told.',
		provider: 'Receiver',
		providers: {
			webhook: 'Webhook',
			slack: 'Slack',
			discord: 'Discord',
			teams: 'Microsoft Teams',
			googlechat: 'Google Chat',
			telegram: 'Telegram',
			matrix: 'Matrix'
		},
		fields: {
			url: 'Address',
			webhook_url: 'Webhook address',
			bot_token: 'Bot token',
			chat_id: 'Chat id',
			api_url: 'Address of the API server',
			homeserver_url: 'Address of the homeserver',
			access_token: 'Access token',
			room_id: 'Room id'
		},
		hints: {
			webhookUrl: 'The receiver’s settings show it. It is a secret.',
			signed: 'Deliveries are signed with a secret that you get once.',
			apiUrl: 'Only for an API server of your own.',
			roomId: 'Begins with an exclamation mark. An alias does not work.'
		},
		problems: {
			missing: (field: string) => `${field} is missing.`,
			address: 'Enter a whole address, such as https://example.org/hook.',
			botToken: 'Enter a token like 123456:AbC-def.',
			roomId: 'Enter an id like !abc:example.org.',
			noEvent: 'Choose at least one.'
		},
		events: 'Events',
		eventTexts: {
			'capsule.created': 'A capsule is created',
			'capsule.running': 'A capsule runs',
			'capsule.paused': 'A capsule is paused',
			'capsule.destroyed': 'A capsule is destroyed',
			'template.snapshot.created': 'A template is ready',
			'template.snapshot.deleted': 'A template is deleted',
			'host.up': 'A host is there',
			'host.down': 'A host is silent'
		},
		test: 'Send a test',
		testArrived: 'The test has arrived.',
		testFailed: 'The test did not arrive.',
		secretText:
			'Deliveries are signed with this secret. The receiver needs it to check them. It is shown only now.',
		secret: 'signing secret',
		caption: 'The notification channels of your team, newest first',
		columns: { name: 'Name', provider: 'Receiver', events: 'Events', state: 'State', age: 'Age' },
		eventCount: (n: number) => count(n, 'event'),
		states: { on: 'on', failing: 'failing', off: 'switched off' },
		offSince: (time: string) => `Switched off since ${time}`,
		none: 'No channels yet. Create one to be told what happens to capsules, templates and hosts.',
		edit: 'Edit',
		editOf: (name: string) => `Edit ${name}`,
		editTitle: (name: string) => `Edit ${name}`,
		configure: 'Replace configuration',
		configureOf: (name: string) => `Replace the configuration of ${name}`,
		configureText: 'The former configuration is not shown. All of it is replaced.',
		configureSecret: 'The signing secret is replaced, too.',
		enable: 'Switch on',
		enableOf: (name: string) => `Switch ${name} on`,
		isOn: 'It is on.',
		saved: (name: string) => `Channel ${name} is saved`,
		created: (name: string) => `Channel ${name} is created`,
		configured: (name: string) => `Channel ${name} has a new configuration`,
		enabled: (name: string) => `Channel ${name} is on`,
		notEnabled: (name: string, why: string) => `Channel ${name} was not switched on: ${why}`,
		delete: 'Delete',
		deleteOf: (name: string) => `Delete ${name}`,
		deleteTitle: (name: string) => `Delete ${name}?`,
		deleteText: 'Its receiver is told nothing from then on. What waits to be delivered is dropped.',
		deleted: (name: string) => `Channel ${name} is deleted`,
		notDeleted: (name: string, why: string) => `Channel ${name} was not deleted: ${why}`
	},

	// --- usage and quotas -----------------------------------------------------------------------------------------
	usage: {
		refresh: 'Refresh',
		loadFailed: 'The usage cannot be loaded.',
		range: 'Period',
		days: (n: number) => `${n} days`,
		measure: 'Measure',
		measures: {
			cpu: { label: 'CPU', text: 'Reserved vCPUs times minutes. A paused capsule counts by half.' },
			memory: {
				label: 'Memory',
				text: 'Reserved memory times hours. A paused capsule counts by half.'
			},
			disk: {
				label: 'Disk',
				text: 'Disks of all capsules times hours, also of those that are paused.'
			},
			templates: { label: 'Templates', text: 'Space of the templates times hours.' }
		},
		units: { cpuMinutes: 'CPU min', gbHours: 'GB h' },
		totals: 'In this period',
		chart: (measure: string, unit: string, from: string, to: string) =>
			`${measure} by day in ${unit}, from ${from} to ${to}`,
		day: 'Day',
		today: 'today',
		utc: 'Days begin at midnight in UTC. The last one still grows.',
		nothing: 'Nothing was used in this period.',
		quota: 'Limits now',
		quotaLoadFailed: 'The limits cannot be loaded yet.',
		resources: {
			running_capsules: 'Running capsules',
			vcpus: 'vCPUs',
			memory_mb: 'Memory',
			disk_mb: 'Disk',
			templates: 'Templates',
			paused_capsules: 'Paused capsules',
			concurrent_builds: 'Builds'
		},
		noLimit: 'no limit',
		of: (used: string, limit: string) => `${used} of ${limit}`,
		levels: { fine: '', near: 'near the limit', full: 'at the limit', over: 'over the limit' }
	},

	// --- hosts: the team's own, and all of them for administrators of the platform ----------------------------------
	host: {
		summary: {
			team: 'Machines that your team has brought. Its capsules run on them.',
			platform: 'Machines on which capsules run.'
		},
		tabs: 'Kinds of hosts',
		kinds: { regular: 'Platform', byoc: 'BYOC' },
		create: 'Create host',
		createTitle: 'Create a host',
		createText: {
			regular:
				'The capsules of all teams without hosts of their own run on it. You get a command to run on the machine, as root.',
			byoc: 'You get a command to run on the machine, as root.'
		},
		provider: 'Provider',
		providerHint: 'From whom the machine is rented.',
		zone: 'Availability zone',
		created: 'The machine joins with this command, once, within an hour. It is shown only now.',
		command: 'command',
		what: 'host id',
		token: 'New token',
		tokenOf: (id: string) => `Make a new token for ${id}`,
		tokenTitle: 'New registration token',
		tokenFailed: (why: string) => `There is no new token: ${why}`,
		isOnline: 'It is online.',
		tags: 'Tags',
		tagsOf: (id: string) => `Change the tags of ${id}`,
		tagsTitle: (id: string) => `Tags of ${id}`,
		noTags: 'The host has no tags.',
		newTag: 'New tag',
		addTag: 'Add',
		removeTag: (tag: string) => `Remove the tag ${tag}`,
		tagNotRemoved: (tag: string, why: string) => `The tag ${tag} is not removed: ${why}`,
		tagRule:
			'A tag is made of letters, digits and the characters . _ : = - and begins with a letter or a digit.',
		tagKnown: 'The host has this tag.',
		moreTags: (n: number) => `+${n}`,
		drain: 'Drain',
		drainOf: (id: string) => `Drain ${id}`,
		open: 'Open',
		openOf: (id: string) => `Open ${id} for new capsules`,
		drained: (id: string) => `Nothing new is placed on ${id}`,
		opened: (id: string) => `${id} takes new capsules`,
		notDrained: (id: string, why: string) => `${id} was not changed: ${why}`,
		delete: 'Delete',
		deleteOf: (id: string) => `Delete ${id}`,
		deleteTitle: 'Delete this host?',
		deleteWithCapsules: (n: number) => `Delete it with ${count(n, 'capsule')}`,
		deleteText: (id: string) => `${id} is deleted with all that is on it. This cannot be undone.`,
		deleteNothing: 'No capsule is on it, and no template is only there.',
		deletePreviewFailed: 'What is on it cannot be shown.',
		capsules: (n: number) => `${count(n, 'capsule')} will be destroyed:`,
		templates: (n: number) => `${count(n, 'template')} will be deleted:`,
		deleted: (id: string) => `Host ${id} is deleted`,
		caption: {
			team: 'The hosts of your team, newest first',
			regular: 'The hosts of the platform, newest first',
			byoc: 'The hosts that teams have brought, newest first'
		},
		columns: {
			host: 'Host',
			status: 'Status',
			team: 'Team',
			capsules: 'Capsules',
			vcpus: 'vCPUs',
			memory: 'Memory',
			disk: 'Disk',
			seen: 'Last seen'
		},
		never: 'never',
		unknown: 'Capacity not known yet',
		capacity: (cores: number, memory: string, disk: string) =>
			`${count(cores, 'core')} · ${memory} · ${disk}`,
		of: (used: string, total: string) => `${used} of ${total}`,
		vcpusText:
			'vCPUs that capsules hold, of the cores. Cores are shared in time, so there may be more vCPUs than cores.',
		memoryText: 'Memory that capsules hold, of all.',
		diskText:
			'The sizes of the disks of capsules, of the space. Most disks are nearly empty, so there may be more than fits.',
		withoutBuilds: 'Machines of builds are not counted.',
		stats: {
			title: 'All of these hosts',
			online: 'Online',
			capsules: 'Capsules',
			outdated: 'What capsules hold may be out of date.',
			failed: 'What capsules hold cannot be loaded yet.'
		},
		none: {
			team: 'Your team has no hosts yet. Its capsules cannot start before there is one.',
			regular:
				'The platform has no hosts. Capsules of teams without hosts of their own cannot start.',
			byoc: 'No team has brought a host. You allow a team to do so on the page of the teams.'
		},
		notByoc: 'Your team does not bring hosts. An administrator of the platform can switch that on.'
	},

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
