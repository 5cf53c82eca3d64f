// THE table of fuzz targets: what each test run takes seeds of, and what `pnpm fuzz` runs in turn, is what stands here.
// What a target does is in its own file; how many seeds, on which cores and for how long, is left to whoever runs them.

import type { FuzzTarget } from './fuzz-target.ts';
import { beacon } from './targets/beacon.ts';
import { clientTrunk } from './targets/client-trunk.ts';
import { rscltcfg, rssrvcfg } from './targets/config-files.ts';
import { controlLines } from './targets/control-lines.ts';
import { fuseSession } from './targets/fuse-session.ts';
import { handshakeClient } from './targets/handshake-client.ts';
import { handshakeServer } from './targets/handshake-server.ts';
import { iniDocument } from './targets/ini-document.ts';
import { messageGuards } from './targets/message-guards.ts';
import { nbdDoor } from './targets/nbd-door.ts';
import { probeSession } from './targets/probe-session.ts';
import { serverSession } from './targets/server-session.ts';
import { stateFiles } from './targets/state-files.ts';
import { wireDecoder } from './targets/wire-decoder.ts';

export const TARGETS: readonly FuzzTarget[] = [
  wireDecoder,
  messageGuards,
  handshakeServer,
  handshakeClient,
  serverSession,
  clientTrunk,
  probeSession,
  beacon,
  controlLines,
  nbdDoor,
  fuseSession,
  iniDocument,
  rssrvcfg,
  rscltcfg,
  stateFiles,
];
