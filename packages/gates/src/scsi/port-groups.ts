// REPORT TARGET PORT GROUPS and SET TARGET PORT GROUPS: report which gate has a volume, and let a host order its move. Pure. Source: SPC-4,
// 6.37 and 6.45. Invariant: a gate reports its own group only, because it does not know the state of another gate.

import { GATE_ANA_S } from '../limits.ts';
import { type Outcome, SENSE } from './constants.ts';
import type { AccessState } from './unit-port.ts';

const STATE = { OPTIMIZED: 0x0, NON_OPTIMIZED: 0x1, STANDBY: 0x2, UNAVAILABLE: 0x3, TRANSITIONING: 0xf } as const;
/** The supported states: transitioning, standby, optimized. */
const SUPPORTED = 0x80 | 0x04 | 0x01;
const EXTENDED = 0x01;
const DESCRIPTOR_BYTES = 4;

function stateOf(access: AccessState): number {
  if (access === 'active') return STATE.OPTIMIZED;
  return access === 'standby' ? STATE.STANDBY : STATE.TRANSITIONING;
}

/** Returns the data of REPORT TARGET PORT GROUPS. `ports`: the numbers of the target's ports at this gate. */
export function portGroups(cdb: Buffer, access: AccessState, group: number, ports: readonly number[]): Buffer | Outcome {
  const format = cdb[1]! >>> 5;
  if (format > EXTENDED) return SENSE.INVALID_FIELD;
  const headerBytes = format === EXTENDED ? 8 : 4;
  const bytes = Buffer.alloc(headerBytes + 8 + 4 * ports.length);
  bytes.writeUInt32BE(bytes.length - 4, 0);
  if (format === EXTENDED) {
    bytes[4] = 0x10;
    bytes[5] = Math.min(GATE_ANA_S, 255);
  }
  bytes[headerBytes] = stateOf(access);
  bytes[headerBytes + 1] = SUPPORTED;
  bytes.writeUInt16BE(group, headerBytes + 2);
  // The last change of the state was made by a command, or by the gates themselves.
  bytes[headerBytes + 5] = access === 'transitioning' ? 0x01 : 0x02;
  bytes[headerBytes + 7] = ports.length;
  for (const [index, port] of ports.entries()) bytes.writeUInt16BE(port, headerBytes + 10 + 4 * index);
  return bytes;
}

/** Returns true if the list of SET TARGET PORT GROUPS orders the volume to this gate, false if it changes nothing, or why it is refused. */
export function ordersHere(list: Buffer, group: number): boolean | Outcome {
  let isOrdered = false;
  if (list.length % DESCRIPTOR_BYTES !== 0) return SENSE.LIST_LENGTH;
  for (let at = DESCRIPTOR_BYTES; at < list.length; at += DESCRIPTOR_BYTES) {
    const state = list[at]! & 0x0f;
    const isHere = list.readUInt16BE(at + 2) === group;
    const isActive = state === STATE.OPTIMIZED || state === STATE.NON_OPTIMIZED;
    if (!isActive && state !== STATE.STANDBY && state !== STATE.UNAVAILABLE) return SENSE.INVALID_PARAMETER;
    // A gate loses its volume only when another gate takes it over, and it cannot order another gate to do so.
    if (isActive && !isHere) return SENSE.INVALID_PARAMETER;
    if (!isActive && isHere) return SENSE.STATE_NOT_CHANGED;
    if (isActive) isOrdered = true;
  }
  return isOrdered;
}

/** Returns the length of the list of SET TARGET PORT GROUPS; null if it has more groups than there can be gates. */
export function checkedListBytes(cdb: Buffer, most: number): number | null {
  const lengthBytes = cdb.readUInt32BE(6);
  return lengthBytes <= DESCRIPTOR_BYTES * (1 + most) ? lengthBytes : null;
}
