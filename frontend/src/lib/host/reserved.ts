/**
 * Resources of hosts, and the part of them that capsules hold. The rule is that of the server's placement: a capsule
 * that is at rest holds its disk only, and a failed one nothing.
 */
import type { Capsule, Host } from '../api/types';

export interface Resources {
	vcpus: number;
	memory_mb: number;
	disk_mb: number;
}

/** The resources that capsules hold, and how many capsules these are. */
export interface Reserved extends Resources {
	/** Capsules that hold anything, also those at rest. */
	capsules: number;
}

type Holder = Pick<
	Capsule,
	'host_id' | 'status' | 'operation' | 'vcpus' | 'memory_mb' | 'disk_size_mb'
>;

export const NOTHING_RESERVED: Reserved = { capsules: 0, vcpus: 0, memory_mb: 0, disk_mb: 0 };

/** Returns what capsules hold, by the host. */
export function reservedByHost(capsules: readonly Holder[]): ReadonlyMap<string, Reserved> {
	const byHost = new Map<string, Reserved>();
	for (const capsule of capsules) {
		const held = heldBy(capsule);
		if (held === null) continue;
		byHost.set(capsule.host_id, plus(byHost.get(capsule.host_id) ?? NOTHING_RESERVED, held));
	}
	return byHost;
}

/** Returns what all of these hosts have; hosts that have not said what they have count as nothing. */
export function capacityOf(
	hosts: readonly Pick<Host, 'cpu_cores' | 'memory_mb' | 'disk_gb'>[]
): Resources {
	const sum = { vcpus: 0, memory_mb: 0, disk_mb: 0 };
	for (const { cpu_cores, memory_mb, disk_gb } of hosts) {
		sum.vcpus += cpu_cores ?? 0;
		sum.memory_mb += memory_mb ?? 0;
		sum.disk_mb += (disk_gb ?? 0) * 1024;
	}
	return sum;
}

/** Returns what is reserved on all of these hosts. */
export function reservedOn(
	hosts: readonly { id: string }[],
	byHost: ReadonlyMap<string, Reserved>
): Reserved {
	return hosts.reduce(
		(sum, { id }) => plus(sum, byHost.get(id) ?? NOTHING_RESERVED),
		NOTHING_RESERVED
	);
}

/** Null for a capsule that holds nothing. */
function heldBy({ status, operation, vcpus, memory_mb, disk_size_mb }: Holder): Reserved | null {
	const isAtRest = status === 'paused' || status === 'hibernated' || status === 'stopped';
	const isStarting = operation === 'starting' || operation === 'resuming';
	if (status === 'error' && operation === null) return null;
	const disk = { ...NOTHING_RESERVED, capsules: 1, disk_mb: disk_size_mb };
	return isAtRest && !isStarting ? disk : { ...disk, vcpus, memory_mb };
}

function plus(a: Reserved, b: Reserved): Reserved {
	return {
		capsules: a.capsules + b.capsules,
		vcpus: a.vcpus + b.vcpus,
		memory_mb: a.memory_mb + b.memory_mb,
		disk_mb: a.disk_mb + b.disk_mb
	};
}
