/** Follows the output of a process that runs: what was kept first, then what comes. */
import { formatSize } from '../format';
import { append, EMPTY_LOG, type OutputLog, type Print, type Stream } from '../output/output-log';
import { FrameBatch } from '../streams/frame-batch';
import { FrameSocket, type Frame } from '../streams/socket';
import { texts } from '../texts';

export type FollowState =
	| { kind: 'connecting' }
	| { kind: 'following' }
	| { kind: 'ended'; exitCode: number }
	/** Why there is nothing more, though the process may run on. */
	| { kind: 'broken'; reason: string };

export class Follow {
	#state = $state.raw<FollowState>({ kind: 'connecting' });
	#log = $state.raw<OutputLog>(EMPTY_LOG);
	readonly #incoming = new FrameBatch<Print>((prints) => (this.#log = append(this.#log, prints)));
	readonly #socket: FrameSocket;

	constructor(capsuleId: string, pid: number) {
		this.#socket = new FrameSocket(`/v1/capsules/${capsuleId}/processes/${pid}/stream`, null, {
			onFrame: (frame) => this.#receive(frame),
			onClose: (reason) => {
				if (this.#state.kind === 'connecting' || this.#state.kind === 'following') {
					this.#state = { kind: 'broken', reason };
				}
			}
		});
	}

	get state(): FollowState {
		return this.#state;
	}

	get log(): OutputLog {
		return this.#log;
	}

	/** Stops looking; the process runs on. */
	close(): void {
		this.#socket.close();
		this.#incoming.close();
	}

	#receive(frame: Frame): void {
		const data = typeof frame.data === 'string' ? frame.data : '';
		switch (frame.type) {
			case 'start':
				this.#state = { kind: 'following' };
				break;
			case 'stdout':
			case 'stderr':
				this.#add(frame.type, data);
				break;
			case 'dropped':
				this.#add('note', `[${texts.process.notKept(formatSize(Number(frame.bytes)))}]\n`);
				break;
			case 'exit':
				this.#state = { kind: 'ended', exitCode: Number(frame.exit_code) };
				break;
			case 'error':
				if (frame.fatal === false) this.#add('note', `[${data}]\n`);
				else this.#state = { kind: 'broken', reason: data };
				break;
		}
	}

	#add(stream: Stream, text: string): void {
		this.#incoming.push({ stream, text });
	}
}
