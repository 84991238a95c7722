import { expect, it } from 'vitest';
import type { Capsule } from '../api/types';
import { capacityOf, NOTHING_RESERVED, reservedByHost, reservedOn } from './reserved';

const capsule = (
	status: Capsule['status'],
	operation: Capsule['operation'] = null,
	host_id = 'host-1'
) => ({ host_id, status, operation, vcpus: 2, memory_mb: 512, disk_size_mb: 5120 });
const machine = { capsules: 1, vcpus: 2, memory_mb: 512, disk_mb: 5120 };
const disk = { ...machine, vcpus: 0, memory_mb: 0 };
const held = (...capsules: Parameters<typeof reservedByHost>[0]) =>
	reservedByHost(capsules).get('host-1');

it('counts the machines of capsules that run or may run', () => {
	for (const status of ['pending', 'starting', 'running', 'missing'] as const) {
		expect(held(capsule(status))).toEqual(machine);
	}
	expect(held(capsule('paused', 'resuming'))).toEqual(machine);
	expect(held(capsule('error', 'destroying'))).toEqual(machine);
});

it('counts only the disks of capsules at rest, and nothing of failed ones', () => {
	for (const status of ['paused', 'hibernated', 'stopped'] as const) {
		expect(held(capsule(status))).toEqual(disk);
	}
	expect(held(capsule('paused', 'flattening'))).toEqual(disk);
	expect(held(capsule('error'))).toBeUndefined();
});

it('adds up by host, and over hosts', () => {
	const byHost = reservedByHost([
		capsule('running'),
		capsule('paused'),
		capsule('running', null, 'host-2')
	]);
	expect(byHost.get('host-1')).toEqual({ capsules: 2, vcpus: 2, memory_mb: 512, disk_mb: 10240 });
	const hosts = [{ id: 'host-1' }, { id: 'host-2' }, { id: 'host-3' }];
	expect(reservedOn(hosts, byHost)).toMatchObject({ capsules: 3, vcpus: 4, disk_mb: 15360 });
	expect(reservedOn([], byHost)).toEqual(NOTHING_RESERVED);
});

it('adds up what hosts have, without those that have not said it', () => {
	const known = { cpu_cores: 8, memory_mb: 16384, disk_gb: 2 };
	const unknown = { cpu_cores: null, memory_mb: null, disk_gb: null };
	expect(capacityOf([known, unknown, known])).toEqual({
		vcpus: 16,
		memory_mb: 32768,
		disk_mb: 4096
	});
});
