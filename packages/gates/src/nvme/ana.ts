// Asymmetric namespace access: the states of namespaces at this gate, as hosts see them. Pure. Each namespace is a group of its own, whose
// number is the namespace id. Offsets follow NVMe Base 2.0, 5.16.1.13 (log) and 8.1.
//
//   0-7 changes | 8-9 groups | 10-15 reserved          header; then for each group:
//   0-3 group | 4-7 namespaces | 8-15 changes | 16 state | 17-31 reserved | namespace ids, 4 bytes each

import { GATE_ANA_LOG_BYTES } from '../limits.ts';
import type { AnaState } from '../ports/gate-namespace.ts';
import type { SubsystemView } from './subsystem-view.ts';
import { CODE, type Code } from './wire/constants.ts';

const HEADER_BYTES = 16;
const GROUP_BYTES = 32;
const STATES: Readonly<Record<AnaState, number>> = { optimized: 0x1, 'non-optimized': 0x2, inaccessible: 0x3, change: 0xf };

/** ANACAP: the states that are reported (optimized, non-optimized, inaccessible, change), and that a namespace stays in its group. */
export const ANA_CAPABILITIES = 0x1 | 0x2 | 0x4 | 0x10 | 0x40;

/**
 * The log of states. Without `hasIds` (the host has set RGO), the groups do not name their namespaces. Zeros follow the groups, because
 * hosts read in parts, and as much as all groups would need.
 */
export function anaLog({ namespaces, anaChanges, anaChangedAt }: SubsystemView, hasIds: boolean): Buffer {
  const groupBytes = GROUP_BYTES + (hasIds ? 4 : 0);
  const log = Buffer.alloc(GATE_ANA_LOG_BYTES);
  log.writeBigUInt64LE(BigInt(anaChanges), 0);
  log.writeUInt16LE(namespaces.size, 8);
  const sorted = [...namespaces.values()].toSorted((one, other) => one.nsid - other.nsid);
  for (const [index, { nsid, ana }] of sorted.entries()) {
    const at = HEADER_BYTES + index * groupBytes;
    log.writeUInt32LE(nsid, at);
    log.writeBigUInt64LE(BigInt(anaChangedAt.get(nsid) ?? 0), at + 8);
    log[at + 16] = STATES[ana];
    if (!hasIds) continue;
    log.writeUInt32LE(1, at + 4);
    log.writeUInt32LE(nsid, at + GROUP_BYTES);
  }
  return log;
}

/** The answer to an I/O command in a state. The host repeats the command over the same path or another. */
export function anaCode(state: Exclude<AnaState, 'optimized'>): Code {
  return state === 'inaccessible' ? CODE.ANA_INACCESSIBLE : CODE.ANA_TRANSITION;
}
