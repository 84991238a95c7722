/** Makes the world before the pictures, and takes it away after them, also when they failed. */
import { picturesFolder } from './folder';
import { writeIndex } from './gallery';
import { announce, createWorld, isAnnounced, removeWorld } from './world';

export default async function setUp(): Promise<() => Promise<void>> {
	const undo: (() => Promise<unknown>)[] = [];
	const tearDown = async () => {
		for (const failure of await removeWorld(undo)) console.error(`  left behind: ${failure}`);
	};
	try {
		// A world may be kept for many runs, by those who work on the pictures.
		if (!isAnnounced()) announce(await createWorld(undo));
	} catch (error) {
		await tearDown();
		throw error;
	}
	return async () => {
		await tearDown();
		console.log(`  ${await writeIndex(picturesFolder())}`);
	};
}
