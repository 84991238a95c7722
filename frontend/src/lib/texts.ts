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
		openTerminal: (pid: number) => `Open the terminal of ${pid}`,
		follow: (pid: number) => `Follow the output of ${pid}`,
		sendSignal: (pid: number) => `Send a signal to ${pid}`,
		signal: 'Signal',
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
