// The probes of paths over the real network of this machine. What is measured, and when, is in path-probes.ts. Invariant: tests never come
// here, because they bring a network of their own.

import { randomBytes } from 'node:crypto';
import type { Clock } from '@rsio/common/lib/clock';
import { udpSockets } from '@rsio/protocol/explorer/network/datagram-sockets';
import { allCounters, machineInterfaces, systemFacts } from '@rsio/protocol/explorer/network/interfaces';
import { tcpConnector } from '@rsio/protocol/link/tcp-transport';
import { PathProbes, type ProbedNamespace } from './path-probes.ts';

export function systemPathProbes(clock: Clock, namespaces: () => readonly ProbedNamespace[]): PathProbes {
  return new PathProbes({
    namespaces,
    probePorts: (namespacekey) => ({
      connector: tcpConnector,
      clock,
      random: randomBytes,
      sockets: udpSockets,
      namespacekey,
      machine: machineInterfaces(systemFacts),
      counters: () => allCounters(systemFacts),
    }),
  });
}
