// Implements the ports of the server's part for the real program: the configuration file and rssrv's control socket. Invariant: each port
// makes one library call; the files in work/ decide the order of the calls.

import { randomUUID } from 'node:crypto';
import { newKey } from '@rsio/common/cli/new-key';
import { loadRssrvConfig } from '@rsio/common/config/load-config';
import type { RssrvPaths } from '@rsio/common/config/root-paths';
import { callServer } from '@rsio/common/control/server/call-server';
import { systemClock } from '@rsio/common/lib/clock';
import { machineInterfaces, systemFacts } from '@rsio/protocol/explorer/interfaces';
import type { ServerPorts } from './model/ports.ts';

export function systemServerPorts({ configFile, controlSocket }: RssrvPaths): ServerPorts {
  return {
    clock: systemClock,
    readConfig: () => loadRssrvConfig(configFile),
    call: (method, params, timeoutMs) => callServer(controlSocket, method, params, timeoutMs === null ? {} : { timeoutMs }),
    configFile,
    machine: () => machineInterfaces(systemFacts),
    newId: randomUUID,
    newKey,
  };
}
