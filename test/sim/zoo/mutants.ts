// The mutation zoo: production code broken on purpose, one rule of docs/PROTOCOL.md at a time. A mutant that the simulator's ordinary
// workload and ordinary seeds do not find is a defect of the simulator. Leaves running them to zoo.ts.

import { CLIENT_MUTANTS } from './client-mutants.ts';
import { HANDLE_MUTANTS } from './handle-mutants.ts';
import { HOLD_MUTANTS } from './hold-mutants.ts';
import { LISTENER_MUTANTS } from './listener-mutants.ts';
import { LOG_MUTANTS } from './log-mutants.ts';
import { LOSS_MUTANTS } from './loss-mutants.ts';
import type { Mutant } from './mutant.ts';
import { RECOVERY_MUTANTS } from './recovery-mutants.ts';
import { REVOKE_MUTANTS } from './revoke-mutants.ts';
import { SERVER_MUTANTS } from './server-mutants.ts';
import { STALL_MUTANTS } from './stall-mutants.ts';
import { TRUNK_MUTANTS } from './trunk-mutants.ts';

export const MUTANTS: readonly Mutant[] = [
  ...CLIENT_MUTANTS,
  ...TRUNK_MUTANTS,
  ...SERVER_MUTANTS,
  ...LISTENER_MUTANTS,
  ...STALL_MUTANTS,
  ...REVOKE_MUTANTS,
  ...HOLD_MUTANTS,
  ...LOG_MUTANTS,
  ...RECOVERY_MUTANTS,
  ...LOSS_MUTANTS,
  ...HANDLE_MUTANTS,
];
