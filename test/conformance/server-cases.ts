// All cases in which a client tests a server, in the order in which they run; RESTART_CASES are last.
// The cases are in server/.

import type { ServerCase } from './base/case.ts';
import { ADMIN_CASES } from './server/admin.ts';
import { DATA_PROCESS_CASES } from './server/data-processes.ts';
import { DISCOVERY_CASES } from './server/handshake/discovery.ts';
import { CONTENT_CASES } from './server/content.ts';
import { FRAMING_CASES } from './server/framing.ts';
import { HELLO_CASES } from './server/handshake/hello.ts';
import { HOLDER_CASES } from './server/holders.ts';
import { IO_CASES } from './server/io.ts';
import { JOIN_CASES } from './server/handshake/join.ts';
import { LIVENESS_CASES } from './server/liveness.ts';
import { REVOKE_CASES } from './server/revoke.ts';
import { REPLICA_CASES } from './server/mirror/replicas.ts';
import { MIRROR_CASES } from './server/mirror/votes.ts';
import { PROBE_CASES } from './server/probes.ts';
import { PROOF_CASES } from './server/handshake/proof.ts';
import { NODES_SEEN_CASES } from './server/nodes-seen.ts';
import { RECORD_CASES } from './server/records.ts';
import { REQUEST_CASES } from './server/requests.ts';
import { RESTART_CASES } from './server/restart.ts';
import { SLOT_CASES } from './server/slots.ts';
import { TLS_CASES } from './server/handshake/tls.ts';
import { TAKE_OVER_CASES } from './server/take-over.ts';

export const SERVER_CASES: readonly ServerCase[] = [
  ...HELLO_CASES,
  ...PROOF_CASES,
  ...JOIN_CASES,
  ...TLS_CASES,
  ...FRAMING_CASES,
  ...SLOT_CASES,
  ...IO_CASES,
  ...CONTENT_CASES,
  ...REQUEST_CASES,
  ...HOLDER_CASES,
  ...TAKE_OVER_CASES,
  ...DATA_PROCESS_CASES,
  ...LIVENESS_CASES,
  ...REVOKE_CASES,
  ...RECORD_CASES,
  ...NODES_SEEN_CASES,
  ...ADMIN_CASES,
  ...MIRROR_CASES,
  ...REPLICA_CASES,
  ...PROBE_CASES,
  ...DISCOVERY_CASES,
  ...RESTART_CASES,
];
