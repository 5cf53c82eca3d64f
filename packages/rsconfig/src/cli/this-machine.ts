// Gives the explorer and its probes access to this machine: sockets, clock, random bytes, interfaces and byte counters. The commands
// explore, join and doctor share this file.

import { randomBytes } from 'node:crypto';
import { udpSockets } from '@rsio/protocol/explorer/datagram-sockets';
import { type ByteCounters, machineInterfaces, readCounters, systemFacts } from '@rsio/protocol/explorer/interfaces';
import type { ProbePorts } from '@rsio/protocol/explorer/probe-report';
import type { Clock } from '@rsio/base/lib/clock';
import { tcpConnector } from '@rsio/protocol/link/tcp-transport';

export type ThisMachine = ReturnType<typeof thisMachine>;

/** `interfaces`: all addresses of the machine, in the system's order. */
export function thisMachine(clock: Clock) {
  return { clock, sockets: udpSockets, random: randomBytes, interfaces: machineInterfaces(systemFacts) };
}

/** `namespacekey` signs the discovery datagrams that test packet sizes. */
export function probePorts({ clock, sockets, random, interfaces }: ThisMachine, namespacekey: string | null): ProbePorts {
  return { connector: tcpConnector, clock, random, sockets, namespacekey, machine: interfaces, counters: allCounters };
}

function allCounters(): ReadonlyMap<string, ByteCounters> {
  const counters = systemFacts.devices().flatMap((device): [string, ByteCounters][] => {
    const bytes = readCounters(device, systemFacts);
    return bytes === null ? [] : [[device, bytes]];
  });
  return new Map(counters);
}
