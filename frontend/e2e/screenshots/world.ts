/**
 * Accounts, a team and its things, which the pictures show: a busy team, another one without anything, and the platform's
 * administrator. Everything is made on the server and taken away again.
 */
import { admin, type Session } from '../dashboard';
import { ask, waitFor } from './server';

/** The things that pages are about. It goes to the tests as JSON, in the environment. */
export interface World {
	/** The owner of the busy team. */
	owner: Session;
	/** The owner of a team that has nothing. */
	newcomer: Session;
	/** The owner of a team that brings its own hosts. Its capsules would run on them, so it has none. */
	bringer: Session;
	/** An administrator of the platform. */
	administrator: Session;
	running: string;
	paused: string;
	/** A template that was made of a capsule. */
	snapshot: string;
	build: string;
	failedBuild: string;
	host: string;
	invitation: string;
	key: string;
	channel: string;
	member: string;
}

const VARIABLE = 'WRENN_SCREENSHOTS_WORLD';
const BOOTED_WITHIN_MS = 180_000;
const BUILT_WITHIN_MS = 300_000;

const HOUR_MS = 3_600_000;

const unique = `${Date.now().toString(36)}-${process.pid}`;
const emailOf = (name: string) => `${name}-${unique}@example.org`;

/** The world of this run. */
export function world(): World {
	return JSON.parse(process.env[VARIABLE] ?? 'null') as World;
}

export function isAnnounced(): boolean {
	return process.env[VARIABLE] !== undefined;
}

export function announce(made: World): void {
	process.env[VARIABLE] = JSON.stringify(made);
}

/** Takes away something that was made. */
type Undo = () => Promise<unknown>;

/** Makes the world. Each thing adds the act that takes it away to `undo`, so that a failure leaves nothing behind. */
export async function createWorld(undo: Undo[]): Promise<World> {
	const administrator = await ask<Session>(null, 'POST', '/v1/auth/login', admin());
	const owner = await signUp('Ada Fairweather', 'ada', undo);
	const newcomer = await signUp('Noor Vandenberg', 'noor', undo);
	const bringer = await signUp('Ines Okafor', 'ines', undo);
	const member = await signUp('Robin Castellanos-Whitmore the Younger', 'robin', undo);
	const team = `/v1/teams/${owner.team_id}`;

	await ask(owner, 'PATCH', team, { name: 'Marsh Lane' });
	await ask(owner, 'POST', `${team}/members`, { email: member.email, role: 'admin' });
	await ask(owner, 'POST', `${team}/invitations`, { email: emailOf('sam') });
	const quota = { running_capsules: 10, vcpus: 16, memory_mb: 8192 };
	await ask(administrator, 'PUT', `/v1/admin/teams/${owner.team_id}/quota`, quota);
	const host = await createHost(bringer, administrator, undo);
	const key = await createKeys(owner);
	const channel = await createChannels(owner);

	const build = await createBuild(owner, 'reed-warbler', undo);
	const failedBuild = await createBuild(owner, 'broken-wing', undo);
	const running = await createCapsule(owner, undo);
	await furnish(owner, running);
	const snapshot = 'a-template-with-a-name-that-is-as-long-as-names-may-be-at-most';
	await ask(owner, 'POST', '/v1/snapshots', { sandbox_id: running, name: snapshot });
	undo.push(() => ask(owner, 'DELETE', `/v1/snapshots/${snapshot}`));
	const paused = await createCapsule(owner, undo);
	await ask(owner, 'POST', `/v1/capsules/${paused}/pause`);

	return {
		...{
			owner,
			newcomer,
			bringer,
			administrator,
			running,
			paused,
			snapshot,
			build,
			failedBuild,
			host
		},
		...{ invitation: emailOf('sam'), key, channel, member: member.name }
	};
}

/** An account with a team of its own; both end together. */
async function signUp(name: string, word: string, undo: Undo[]): Promise<Session> {
	const email = emailOf(word);
	const account = { name, email, password: `pw-${unique}` };
	const session = await ask<Session>(null, 'POST', '/v1/auth/signup', account);
	undo.push(async () => {
		await ask(session, 'DELETE', `/v1/teams/${session.team_id}`);
		await ask(session, 'DELETE', '/v1/me', { confirmation: email });
	});
	return session;
}

async function createHost(bringer: Session, administrator: Session, undo: Undo[]): Promise<string> {
	const path = `/v1/admin/teams/${bringer.team_id}/byoc`;
	await ask(administrator, 'PUT', path, { enabled: true });
	const body = { type: 'byoc', provider: 'rack 4', availability_zone: 'cellar' };
	const { host } = await ask<{ host: { id: string } }>(bringer, 'POST', '/v1/hosts', body);
	undo.push(() => ask(bringer, 'DELETE', `/v1/hosts/${host.id}`));
	return host.id;
}

/** Returns the name of one of them. */
async function createKeys(owner: Session): Promise<string> {
	const soon = new Date(Date.now() + 36 * HOUR_MS).toISOString();
	const keys = [
		{ name: 'laptop' },
		{ name: 'nightly runs', scopes: ['read'], expires_at: soon },
		{ name: 'A key with a name that says rather much about where it is used, and by whom' }
	];
	for (const key of keys) await ask(owner, 'POST', '/v1/api-keys', key);
	return 'laptop';
}

/** Returns the name of one of them. */
async function createChannels(owner: Session): Promise<string> {
	const events = ['capsule.running', 'capsule.paused', 'capsule.destroyed', 'host.down'];
	const name = 'on-call';
	await ask(owner, 'POST', '/v1/channels', {
		...{ name, provider: 'webhook', events, config: { url: 'https://example.org/hook' } }
	});
	await ask(owner, 'POST', '/v1/channels', {
		name: 'The room of those who look after templates',
		provider: 'slack',
		events: ['template.snapshot.created'],
		config: { webhook_url: 'https://hooks.slack.com/services/T0/B0/screenshots' }
	});
	return name;
}

/** Builds a template, and waits for the end of it. */
async function createBuild(owner: Session, name: string, undo: Undo[]): Promise<string> {
	const isBroken = name.startsWith('broken');
	const recipe = [
		`RUN echo ${unique}`,
		'ENV GREETING=good-day',
		'RUN seq 1 40',
		isBroken ? 'RUN ls /no/such/folder' : 'WORKDIR /srv'
	];
	const body = { name, recipe, skip_pre_post: true };
	const { id } = await ask<{ id: string }>(owner, 'POST', '/v1/builds', body);
	if (!isBroken) undo.push(() => ask(owner, 'DELETE', `/v1/snapshots/${name}`));
	return waitFor(`the build of ${name}`, BUILT_WITHIN_MS, async () => {
		const { status } = await ask<{ status: string }>(owner, 'GET', `/v1/builds/${id}`);
		return ['success', 'failed', 'cancelled'].includes(status) ? id : null;
	});
}

async function createCapsule(owner: Session, undo: Undo[]): Promise<string> {
	const body = { template: 'minimal', timeout_sec: 3_600, metadata: { task: 'screenshots' } };
	const { id } = await ask<{ id: string }>(owner, 'POST', '/v1/capsules', body);
	undo.push(() => ask(owner, 'DELETE', `/v1/capsules/${id}`));
	return waitFor(`capsule ${id}`, BOOTED_WITHIN_MS, async () => {
		const capsule = await ask<{ status: string; last_error?: string }>(
			owner,
			'GET',
			`/v1/capsules/${id}`
		);
		if (capsule.status === 'error') throw new Error(`${id}: ${capsule.last_error ?? ''}`);
		return capsule.status === 'running' ? id : null;
	});
}

/** Puts files and processes into a capsule. */
async function furnish(owner: Session, id: string): Promise<void> {
	const folders = 'mkdir -p /root/src/birds /root/data';
	const text = "printf 'A wren is small,\\nand it is loud.\\n' > /root/notes.txt";
	const more = 'seq 1 400 > /root/data/numbers.csv; touch /root/src/birds/nest.py';
	const exec = `/v1/capsules/${id}/exec`;
	await ask(owner, 'POST', exec, { cmd: `${folders}; ${text}; ${more}`, user: 'root' });
	const cmd = 'while :; do date; sleep 5; done';
	await ask(owner, 'POST', exec, { cmd, user: 'root', background: true, tag: 'clock' });
}

/** Takes away what was made, the last thing first; returns what could not be. */
export async function removeWorld(undo: Undo[]): Promise<string[]> {
	const failures: string[] = [];
	for (const act of undo.reverse()) {
		await act().catch((error: unknown) => failures.push(String(error)));
	}
	return failures;
}
