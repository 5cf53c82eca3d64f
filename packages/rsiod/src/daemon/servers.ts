// The second phase of the objects of rsiod: the namespaces with their servers, what the servers offer, and the client's interfaces. What
// happens at the servers is told by signals of the namespaces, which attaching.ts hears.

import { randomBytes } from 'node:crypto';
import { BufferPool } from '@rsio/base/structures/buffer-pool';
import { WINDOW_BYTES } from '@rsio/protocol/link/limits';
import { tcpConnector } from '@rsio/protocol/link/tcp-transport';
import { OutputPool } from '@rsio/protocol/wire/encoder';
import { OfferList } from '../attachments/offers.ts';
import { Namespaces } from '../network/namespaces.ts';
import { InterfaceWatcher } from '../sys/interface-watcher.ts';
import { machineInterfaces } from '../sys/machine-interfaces.ts';
import type { ClientDaemonOptions, Foundation } from './foundation.ts';

export interface ServersPhase {
  readonly namespaces: Namespaces;
  readonly offers: OfferList;
  readonly watcher: InterfaceWatcher;
}

export function newServers(
  { clock, log, identity, processes, part }: ClientDaemonOptions,
  { current, known, notifications }: Pick<Foundation, 'current' | 'known' | 'notifications'>,
): ServersPhase {
  const namespaces = new Namespaces(current, identity, {
    clock,
    log,
    hasDataProcesses: processes !== null,
    known,
    connector: tcpConnector,
    random: randomBytes,
    pools: { bodies: new BufferPool(WINDOW_BYTES), outputs: new OutputPool() },
  });
  const watcher = new InterfaceWatcher(
    current.locals.map(({ address }) => address),
    {
      clock,
      log,
      source: machineInterfaces,
      changed: (event) => {
        // A data process has the same interfaces as the main process.
        if (part === null) notifications.interfaceChanged(event);
        // An interface may have moved to a different subnet, which changes the possible paths.
        if (current.lookAtMachine()) namespaces.followInterfaces();
        namespaces.interfaceChanged(event);
      },
    },
  );
  return { namespaces, offers: new OfferList(namespaces), watcher };
}
