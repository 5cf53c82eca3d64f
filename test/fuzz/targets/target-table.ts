// The table of fuzz targets: each test run takes seeds of all targets, and `npm run fuzz` runs the targets one after another. Each target
// has its own file; the callers choose seeds, cores and duration.

import type { FuzzTarget } from '../fixtures/fuzz-target.ts';
import { discovery } from './network/discovery.ts';
import { backupChain } from './files/backup-chain.ts';
import { clientTrunk } from './network/client-trunk.ts';
import { rscltcfg, rssrvcfg } from './files/config-files.ts';
import { controlLines } from './local/control-lines.ts';
import { fuseSession } from './local/fuse-session.ts';
import { gateFrames } from './local/gate-frames.ts';
import { gateHosts } from './local/gate-hosts.ts';
import { iscsiHosts } from './local/iscsi-hosts.ts';
import { handshakeClient } from './network/handshake-client.ts';
import { handshakeTlsClient, handshakeTlsServer } from './network/handshake-tls.ts';
import { handshakeServer } from './network/handshake-server.ts';
import { iniDocument } from './files/ini-document.ts';
import { messageGuards } from './network/message-guards.ts';
import { nbdFrontend } from './local/nbd-frontend.ts';
import { probeSession } from './network/probe-session.ts';
import { scsiCommands } from './local/scsi-commands.ts';
import { serverSession } from './network/server-session.ts';
import { stateFiles } from './files/state-files.ts';
import { webSources } from './network/web-sources.ts';
import { workerChannel } from './local/worker-channel.ts';
import { wireDecoder } from './network/wire-decoder.ts';

export const TARGETS: readonly FuzzTarget[] = [
  wireDecoder,
  messageGuards,
  handshakeServer,
  handshakeClient,
  handshakeTlsServer,
  handshakeTlsClient,
  serverSession,
  clientTrunk,
  probeSession,
  discovery,
  webSources,
  controlLines,
  nbdFrontend,
  gateFrames,
  gateHosts,
  iscsiHosts,
  scsiCommands,
  fuseSession,
  iniDocument,
  rssrvcfg,
  rscltcfg,
  stateFiles,
  backupChain,
  workerChannel,
];
