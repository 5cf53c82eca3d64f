// Creates crsio's part for the server, which administers rssrv on this machine. The pages are in pages/. Invariants: changes take effect at
// once, so F3 only applies a form; while rssrv has not answered a request, the title line names the request and shows how long it has
// taken.

import type { RssrvPaths } from '@rsio/common/config/root-paths';
import { immediateRole } from '../machine/immediate-role.ts';
import { hasTouchedForm, type Leaving } from '../machine/machine.ts';
import { LOOK_SILENT_MS, LOOK_WAIT_MS } from '../widgets/limits.ts';
import { startServerState, type ServerState } from './model/state.ts';
import { MENU_PAGE } from './pages/menu-page.ts';
import { randomUUID } from 'node:crypto';
import { newKey } from '@rsio/common/cli/new-key';
import { loadRssrvConfig } from '@rsio/common/config/load-config';
import { callServer } from '@rsio/api/rssrv/call-server';
import { systemClock } from '@rsio/base/lib/clock';
import { machineInterfaces, systemFacts } from '@rsio/protocol/explorer/interfaces';
import type { ServerPorts } from './model/ports.ts';

/** Returns the first state of the part. The first command of the session is `tick`. */
export function serverPart(given: Omit<Parameters<typeof startServerState>[0], 'role'>, leaving: Leaving): ServerState {
  const role = immediateRole<ServerState>({ mayEnd: () => true, isUnsaved: hasTouchedForm, mark: markOf }, progress, leaving);
  return startServerState({ ...given, role }, MENU_PAGE);
}

export function serverOf(paths: RssrvPaths): Pick<ServerState, 'ports' | 'configFile' | 'startCommand'> {
  const startCommand = paths.root === '' ? 'rssrv' : `rssrv --root ${paths.root}`;
  return { ports: systemServerPorts(paths), configFile: paths.configFile, startCommand };
}

function progress({ pending }: ServerState): string | null {
  if (pending.length === 0) return null;
  return `In progress: ${pending.map(({ order }) => order.doing).join(', ')}. rssrv continues without crsio`;
}

function markOf({ pending, nowMs, askingSinceMs }: ServerState): string {
  const seconds = (sinceMs: number): number => Math.floor((nowMs - sinceMs) / 1000);
  const last = pending.at(-1);
  if (last !== undefined) {
    const others = pending.length === 1 ? '' : ` and ${pending.length - 1} more`;
    return `${last.order.doing}${others} ... ${seconds(last.sinceMs)} s `;
  }
  if (askingSinceMs === null || nowMs - askingSinceMs < LOOK_SILENT_MS) return '';
  return `asking rssrv ... ${seconds(askingSinceMs)} s, at most ${LOOK_WAIT_MS / 1000} s `;
}

// Implements the ports of the server's part for the real program: the configuration file and rssrv's control socket. Invariant: each port
// makes one library call; the files in work/ decide the order of the calls.
function systemServerPorts({ configFile, controlSocket }: RssrvPaths): ServerPorts {
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
