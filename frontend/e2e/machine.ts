/**
 * A machine that joins as a host: a network of its own on this machine, with one link, and the real agent in it.
 *
 *   server at WRENN_AGENT_ADDR (10.214.x.y) ── veth ── 10.215.x.y, the namespace
 *
 * Needs root. Call {@link Machine.remove} when done, also after a failure.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { expect } from '@playwright/test';

const binary = process.env.WRENN_BINARY;
const address = process.env.WRENN_AGENT_ADDR;

/** Patience for a host that joins: its volume is made and the images are imported before it connects. */
export const JOINED = { timeout: 120_000 };
const ENDED_WITHIN_MS = 60_000;

function ip(line: string): void {
	execFileSync('ip', line.split(' '), { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** The environment of a machine that has nothing but the program. */
function bareEnvironment(more: Record<string, string>): NodeJS.ProcessEnv {
	const kept = Object.entries(process.env).filter(
		([name]) => !name.startsWith('WRENN_') && name !== 'DATABASE_URL' && name !== 'REDIS_URL'
	);
	const path = [dirname(binary ?? ''), process.env.PATH ?? ''].join(delimiter);
	return { ...Object.fromEntries(kept), ...more, PATH: path };
}

export class Machine {
	readonly #namespace = `wrenn-browser-${process.pid}`;
	/** The near end of the link; at most 15 characters. */
	readonly #link = `wrb${process.pid}`;
	readonly #folder: string;
	#agent: ChildProcess | undefined;

	/** Makes the network. Throws where none can be made: the suite always can, and must not leave its tests out. */
	constructor() {
		if (!binary || !address || process.getuid?.() !== 0) {
			throw new Error(
				'needs root, WRENN_BINARY and WRENN_AGENT_ADDR; `scripts/test --only browser` has them'
			);
		}
		this.#folder = mkdtempSync(join(process.env.WRENN_E2E_FOLDER ?? '/var/tmp', 'wrenn-e2e-'));
		const server = address.split(':')[0] ?? '';
		const own = server.replace('10.214.', '10.215.');
		const [namespace, near] = [this.#namespace, this.#link];
		try {
			ip(`netns add ${namespace}`);
			ip(`link add ${near} type veth peer name eth0 netns ${namespace}`);
			ip(`addr add ${server} peer ${own} dev ${near}`);
			ip(`link set ${near} up`);
			ip(`-n ${namespace} addr add ${own} peer ${server} dev eth0`);
			ip(`-n ${namespace} link set eth0 up`);
			ip(`-n ${namespace} link set lo up`);
			ip(`-n ${namespace} route add default via ${server}`);
		} catch (error) {
			this.#removeNetwork();
			throw error;
		}
	}

	/** Runs a command there, as it is. It goes on running. */
	run(command: string): void {
		const log = openSync(this.#log, 'a');
		this.#agent = spawn('nsenter', [...this.#inside, 'sh', '-c', `exec ${command}`], {
			stdio: ['ignore', log, log],
			cwd: '/',
			env: bareEnvironment({
				WRENN_AGENT_DATA: join(this.#data, 'agent'),
				WRENN_SLOTS_AHEAD: '1',
				...(process.env.WRENN_IMAGES && { WRENN_IMAGES: process.env.WRENN_IMAGES })
			})
		});
	}

	/** True while the command goes on. */
	get isRunning(): boolean {
		return this.#agent?.exitCode === null && this.#agent.signalCode === null;
	}

	/** Waits until something is as it should be; the failure tells what the agent said. */
	async until(check: () => Promise<void>): Promise<void> {
		try {
			await check();
		} catch (error) {
			const state = this.isRunning ? 'runs' : 'has ended';
			throw new Error(`the agent ${state} and said:\n${this.#said.slice(-4_000)}`, {
				cause: error
			});
		}
	}

	/** Waits until the agent has ended by itself, because its host was deleted. */
	async hasLeft(): Promise<void> {
		await this.until(async () => {
			await expect.poll(() => this.isRunning, { timeout: ENDED_WITHIN_MS }).toBe(false);
			expect(this.#said).toContain('the host was deleted');
		});
	}

	/** Removes the agent, all that it has made, and the network. */
	async remove(): Promise<void> {
		try {
			if (this.isRunning) {
				this.#agent?.kill('SIGTERM');
				await expect.poll(() => this.isRunning, { timeout: ENDED_WITHIN_MS }).toBe(false);
			}
			execFileSync('nsenter', [...this.#inside, 'wrenn', 'down', '--purge'], {
				stdio: ['ignore', 'ignore', 'pipe'],
				cwd: '/',
				env: bareEnvironment({ WRENN_DATA: this.#data })
			});
			rmSync(this.#folder, { recursive: true, force: true });
		} finally {
			this.#agent?.kill('SIGKILL');
			this.#removeNetwork();
		}
	}

	get #data(): string {
		return join(this.#folder, 'data');
	}

	get #log(): string {
		return join(this.#folder, 'log');
	}

	get #said(): string {
		return existsSync(this.#log) ? readFileSync(this.#log, 'utf8') : '';
	}

	get #inside(): string[] {
		return [`--net=/run/netns/${this.#namespace}`];
	}

	/** Also the link, which would otherwise go with the namespace, but later. */
	#removeNetwork(): void {
		for (const line of [`link del ${this.#link}`, `netns del ${this.#namespace}`]) {
			try {
				ip(line);
			} catch {
				// There was none.
			}
		}
	}
}
