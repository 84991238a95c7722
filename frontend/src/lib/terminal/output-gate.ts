/**
 * Bounds what is waiting to be drawn.
 *
 * A browser cannot tell a WebSocket to wait, so a program that prints faster than the terminal draws
 * would fill the memory of the page. Beyond a limit what comes is left out, until most of what
 * waits has been drawn; then it is said how much was left out.
 */

const SHUT_ABOVE_BYTES = 16 * 1024 * 1024;
const OPEN_BELOW_BYTES = 2 * 1024 * 1024;

export class OutputGate {
	#pendingBytes = 0;
	#leftOutBytes = 0;
	#isShut = false;

	/** Returns true if a chunk may be drawn; call {@link drawn} for it afterwards. */
	admit(bytes: number): boolean {
		if (!this.#isShut && this.#pendingBytes + bytes > SHUT_ABOVE_BYTES) this.#isShut = true;
		if (this.#isShut) {
			this.#leftOutBytes += bytes;
			return false;
		}
		this.#pendingBytes += bytes;
		return true;
	}

	/** A chunk was drawn. Returns how much was left out, if this opens the gate again; else 0. */
	drawn(bytes: number): number {
		this.#pendingBytes -= bytes;
		if (!this.#isShut || this.#pendingBytes > OPEN_BELOW_BYTES) return 0;
		const leftOutBytes = this.#leftOutBytes;
		this.#isShut = false;
		this.#leftOutBytes = 0;
		return leftOutBytes;
	}
}
