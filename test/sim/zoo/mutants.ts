// The mutation zoo: production code broken on purpose, one rule of docs/PROTOCOL.md at a time. If the simulator's ordinary workload and
// seeds do not find a mutant, the simulator has a defect. zoo.ts runs the mutants.

import { ADMIN_MUTANTS } from './admin-mutants/admin-mutants.ts';
import { CLIENT_MUTANTS } from './mutants/client-mutants.ts';
import { DATA_PROCESS_MUTANTS } from './mutants/data-process-mutants.ts';
import { GATE_MUTANTS } from './gate-mutants/gate-mutants.ts';
import { RECORD_MUTANTS } from './gate-mutants/record-mutants.ts';
import { HANDLE_MUTANTS } from './mutants/handle-mutants.ts';
import { HOLD_MUTANTS } from './mutants/hold-mutants.ts';
import { LISTENER_MUTANTS } from './mutants/listener-mutants.ts';
import { LOG_MUTANTS } from './mutants/log-mutants.ts';
import { LOSS_MUTANTS } from './mutants/loss-mutants.ts';
import type { Mutant } from './mutants/mutant.ts';
import { NAME_MUTANTS } from './pool-mutants/name-mutants.ts';
import { PROMISE_MUTANTS } from './mutants/promise-mutants.ts';
import { POOL_MUTANTS } from './pool-mutants/pool-mutants.ts';
import { RECOVERY_MUTANTS } from './mutants/recovery-mutants.ts';
import { REPLICATION_MUTANTS } from './replication-mutants/replication-mutants.ts';
import { REVOCATION_MUTANTS } from './mutants/revocation-mutants.ts';
import { REVOKE_MUTANTS } from './mutants/revoke-mutants.ts';
import { READER_MUTANTS } from './reader-mutants/reader-mutants.ts';
import { SERVER_MUTANTS } from './mutants/server-mutants.ts';
import { SNAPSHOT_MUTANTS } from './snapshot-mutants/snapshot-mutants.ts';
import { SPREAD_MUTANTS } from './spread-mutants/spread-mutants.ts';
import { STALL_MUTANTS } from './mutants/stall-mutants.ts';
import { STORE_MUTANTS } from './store-mutants/store-mutants.ts';
import { TRUNK_MUTANTS } from './mutants/trunk-mutants.ts';
import { ORDER_MUTANTS } from './order-mutants/order-mutants.ts';
import { DECIDER_MUTANTS } from './mirror-mutants/decider-mutants.ts';
import { COPY_MUTANTS } from './mirror-mutants/copy-mutants.ts';
import { LACK_MUTANTS } from './mirror-mutants/lack-mutants.ts';
import { LOST_WRITE_MUTANTS } from './mirror-mutants/lost-write-mutants.ts';
import { DATA_MUTANTS } from './mirror-mutants/data-mutants.ts';
import { MOMENT_MUTANTS } from './mirror-mutants/moment-mutants.ts';
import { REPLICA_MUTANTS } from './mirror-mutants/replica-mutants.ts';
import { LIMIT_MUTANTS } from './limit-mutants/limit-mutants.ts';
import { FARM_MUTANTS } from './farm-mutants/farm-mutants.ts';
import { TAKE_MUTANTS } from './farm-mutants/take-mutants.ts';
import { VOTE_MUTANTS } from './mirror-mutants/vote-mutants.ts';
import { VOTER_MUTANTS } from './mirror-mutants/voter-mutants.ts';

export const MUTANTS: readonly Mutant[] = [
  ...CLIENT_MUTANTS,
  ...TRUNK_MUTANTS,
  ...SERVER_MUTANTS,
  ...LISTENER_MUTANTS,
  ...STALL_MUTANTS,
  ...REVOKE_MUTANTS,
  ...REVOCATION_MUTANTS,
  ...HOLD_MUTANTS,
  ...LOG_MUTANTS,
  ...RECOVERY_MUTANTS,
  ...LOSS_MUTANTS,
  ...HANDLE_MUTANTS,
  ...ADMIN_MUTANTS,
  ...PROMISE_MUTANTS,
  ...POOL_MUTANTS,
  ...NAME_MUTANTS,
  ...SNAPSHOT_MUTANTS,
  ...STORE_MUTANTS,
  ...READER_MUTANTS,
  ...SPREAD_MUTANTS,
  ...VOTER_MUTANTS,
  ...VOTE_MUTANTS,
  ...REPLICA_MUTANTS,
  ...DECIDER_MUTANTS,
  ...DATA_MUTANTS,
  ...MOMENT_MUTANTS,
  ...COPY_MUTANTS,
  ...LACK_MUTANTS,
  ...LOST_WRITE_MUTANTS,
  ...LIMIT_MUTANTS,
  ...DATA_PROCESS_MUTANTS,
  ...GATE_MUTANTS,
  ...RECORD_MUTANTS,
  ...FARM_MUTANTS,
  ...TAKE_MUTANTS,
  ...REPLICATION_MUTANTS,
  ...ORDER_MUTANTS,
];
