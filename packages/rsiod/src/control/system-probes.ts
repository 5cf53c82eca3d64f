// The probes of paths over the real network of this machine. The file path-probes.ts decides which paths are probed and when. Invariant:
// tests do not use this file, because they probe a simulated network.

import { randomBytes } from 'node:crypto';
import type { Clock } from '@rsio/base/lib/clock';
import { udpSockets } from '@rsio/protocol/explorer/datagram-sockets';
import { allCounters, machineInterfaces, systemFacts } from '@rsio/protocol/explorer/interfaces';
import { tcpConnector } from '@rsio/protocol/link/tcp-transport';
import { PathProbes, type PathProbesPorts } from './path-probes.ts';

export function systemPathProbes(clock: Clock, namespaces: PathProbesPorts['namespaces']): PathProbes {
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
