/** A page in one of its states, with what is noticed while it is looked at. */
import type { Browser, BrowserContext, Page, Request, Route } from '@playwright/test';
import type { Session } from '../dashboard';
import type { State, Width } from './folder';
import type { Picture } from './pages';
import { world } from './world';

const HEIGHT = 900;
const SETTLED_WITHIN_MS = 45_000;
const LOOK_EVERY_MS = 150;

/** Answers of the server; what else a page loads, it has before it asks. */
const ANSWER = /\/v1\//;
/** Answers that never end, so a page does not wait for them. */
const STREAM =
	/\/v1\/(admin\/)?(events|builds\/[^/]+\/logs|capsules\/[^/]+\/(files\/watch|exec\/stream))/;
const OUTAGE = {
	status: 503,
	json: { error: { code: 'unavailable', message: 'the database cannot be reached' } }
};
/** Machines come and go on this host with their networks, and then a browser gives up what it waits for. */
const HOST_NOISE = 'ERR_NETWORK_CHANGED';

interface Shift {
	value: number;
	/** The elements that moved. */
	moved: string[];
}

export class Scene {
	readonly failures: string[] = [];
	readonly #pending = new Set<Request>();
	readonly #held: Route[] = [];
	#isNoisy = false;

	private constructor(
		readonly page: Page,
		private readonly context: BrowserContext
	) {
		page.on('pageerror', (error) => this.failures.push(`error in the page: ${error.message}`));
		page.on('request', (request) => {
			const url = request.url();
			if (ANSWER.test(url) && !STREAM.test(url)) this.#pending.add(request);
		});
		page.on('requestfinished', (request) => this.#pending.delete(request));
		page.on('requestfailed', (request) => {
			this.#pending.delete(request);
			const reason = request.failure()?.errorText ?? '';
			if (reason.includes(HOST_NOISE)) this.#isNoisy = true;
			else if (!reason.includes('ERR_ABORTED')) {
				this.failures.push(`${request.method()} ${request.url()}: ${reason}`);
			}
		});
		page.on('response', (response) => {
			if (response.status() < 400) return;
			this.failures.push(`${response.request().method()} ${response.url()}: ${response.status()}`);
		});
	}

	/** Opens a page in one of its states. */
	static async open(
		browser: Browser,
		picture: Picture,
		state: State,
		width: Width
	): Promise<Scene> {
		const scene = await Scene.#begin(browser, width, sessionOf(picture, state));
		await scene.#serve(picture, state);
		const { path, emptyPath, isEmptied, fill } = picture;
		const isElsewhere = state === 'empty' && emptyPath && !isEmptied;
		await scene.page.goto((isElsewhere ? emptyPath : path)(world()));
		await scene.page.locator('main').waitFor();
		await scene.settle();
		if (state === 'filled' && fill) {
			await fill(scene.page, world());
			await scene.settle();
		}
		// A failure that came from the host is not the page's fault, so the page is looked at again.
		if (!scene.#isNoisy) return scene;
		await scene.close();
		return Scene.open(browser, picture, state, width);
	}

	static async #begin(browser: Browser, width: Width, session: Session | null): Promise<Scene> {
		const context = await browser.newContext({
			viewport: { width, height: HEIGHT },
			reducedMotion: 'reduce'
		});
		await context.addInitScript(observeShifts);
		if (session) {
			await context.addInitScript((kept) => {
				localStorage.setItem('wrenn.session', kept);
			}, JSON.stringify(session));
		}
		return new Scene(await context.newPage(), context);
	}

	/** Makes the server answer as it does in a state. */
	async #serve(picture: Picture, state: State): Promise<void> {
		const { page } = this;
		const { letThrough, isEmptied = false } = picture;
		if (state === 'filled' || (state === 'empty' && !isEmptied)) return;
		await page.route('**/v1/**', async (route) => {
			const request = route.request();
			if (letThrough?.test(request.url())) await route.continue();
			else if (state === 'error') await route.fulfill(OUTAGE);
			else if (state === 'loading') {
				this.#pending.delete(request);
				this.#held.push(route);
			} else if (STREAM.test(request.url())) await route.abort();
			else await emptied(route);
		});
	}

	/** Waits until the page asks for nothing more, says nowhere that it loads, and stands still. */
	async settle(): Promise<void> {
		const end = Date.now() + SETTLED_WITHIN_MS;
		let quiet = 0;
		while (quiet < 3) {
			if (Date.now() > end) {
				const waited = [...this.#pending].map((request) => request.url());
				const reasons = [...waited.map((url) => `it waits for ${url}`), ...this.failures];
				throw new Error(`the page does not settle: ${reasons.join('; ')}`);
			}
			await this.page.waitForTimeout(LOOK_EVERY_MS);
			// A page that cannot load a part of itself is loaded anew, and has nothing to look at meanwhile.
			const isStill = await this.page.evaluate(standsStill).catch(() => false);
			const isLoading =
				this.#held.length === 0 &&
				(await this.page.locator('main').getByText('Loading…').first().isVisible());
			quiet = this.#pending.size === 0 && isStill && !isLoading ? quiet + 1 : 0;
		}
	}

	/** The sum of all shifts of the layout since the page was opened, and what moved. */
	async shifts(): Promise<{ sum: number; moved: string[] }> {
		const shifts = await this.page.evaluate(
			() => (window as unknown as { shifts: Shift[] }).shifts
		);
		return {
			sum: shifts.reduce((sum, { value }) => sum + value, 0),
			moved: shifts.map(({ value, moved }) => `${value.toFixed(3)} by ${moved.join(', ')}`)
		};
	}

	/** Elements that reach out of the window on the right; none if the page does not scroll sideways. */
	tooWide(): Promise<string[]> {
		return this.page.evaluate(() => {
			const { scrollWidth, clientWidth } = document.documentElement;
			if (scrollWidth <= clientWidth) return [];
			return [...document.querySelectorAll('body *')]
				.filter((element) => element.getBoundingClientRect().right > clientWidth + 0.5)
				.map((element) => `${element.tagName.toLowerCase()}.${element.className.toString()}`)
				.slice(0, 5);
		});
	}

	/** Makes the window as wide as another device. */
	async resize(width: Width): Promise<void> {
		await this.page.setViewportSize({ width, height: HEIGHT });
		await this.settle();
	}

	async close(): Promise<void> {
		for (const route of this.#held) await route.abort().catch(() => undefined);
		await this.context.close();
	}
}

function sessionOf({ viewer, isEmptied, emptyPath }: Picture, state: State): Session | null {
	if (viewer === 'nobody') return null;
	if (state !== 'empty' || isEmptied || emptyPath) return world()[viewer];
	return world()[viewer === 'owner' ? 'newcomer' : viewer];
}

/** Answers as the server does, but without what is in its lists. */
async function emptied(route: Route): Promise<void> {
	const answer = await route.fetch();
	const body = (await answer.json().catch(() => null)) as unknown;
	if (/\/v1\/(me|teams)$/.test(route.request().url())) await route.fulfill({ response: answer });
	else await route.fulfill({ response: answer, json: withoutItems(body) });
}

function withoutItems(body: unknown): unknown {
	if (Array.isArray(body)) return [];
	if (typeof body !== 'object' || body === null) return body;
	const entries = Object.entries(body).map(([name, value]: [string, unknown]) => {
		if (Array.isArray(value)) return [name, []];
		if (/^total|count$/.test(name)) return [name, 0];
		return [name, name.startsWith('next') ? null : value];
	});
	return Object.fromEntries(entries) as unknown;
}

/** Runs in the page: returns true if its fonts are there and nothing in it is on its way to another place. */
function standsStill(): boolean {
	const isEndless = ({ effect }: Animation) => effect?.getTiming().iterations === Infinity;
	const moving = document.getAnimations().filter(({ playState }) => playState === 'running');
	return document.fonts.status === 'loaded' && moving.every(isEndless);
}

/** Runs in the page: keeps what moves without anybody's doing. */
function observeShifts(): void {
	interface LayoutShift extends PerformanceEntry {
		value: number;
		hadRecentInput: boolean;
		sources: { node: Node | null }[];
	}
	const shifts: Shift[] = [];
	Object.assign(window, { shifts });
	const nameOf = (node: Node | null) =>
		node instanceof Element
			? `${node.tagName.toLowerCase()} “${(node.textContent ?? '').trim().slice(0, 24)}”`
			: (node?.nodeName ?? 'something that is gone');
	new PerformanceObserver((list) => {
		for (const entry of list.getEntries() as LayoutShift[]) {
			if (entry.hadRecentInput) continue;
			const moved = entry.sources.map(({ node }) => nameOf(node));
			shifts.push({ value: entry.value, moved });
		}
	}).observe({ type: 'layout-shift', buffered: true });
}
