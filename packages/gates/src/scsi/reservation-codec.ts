// The codec of persistent reservations of SCSI: translates command blocks and parameter lists into actions, and builds the answers to
// PERSISTENT RESERVE IN. Pure. Source: SPC-4, 6.15 and 6.16. Invariant: the types of SCSI and of NVMe stand for the same reservations under
// different numbers.

import type { ReservationState, ReservationType } from '@rsio/rsiod/notes/reservation-state';
import type { ReservationAction } from '../reservations/reservation-rules.ts';
import { holds } from '../reservations/reservation-rules.ts';
import type { ReservationOutcome } from '../reservations/reservations.ts';
import { BUSY, CONFLICT, GOOD, type Outcome, SENSE } from './constants.ts';

const OUT = { REGISTER: 0, RESERVE: 1, RELEASE: 2, CLEAR: 3, PREEMPT: 4, PREEMPT_AND_ABORT: 5, REGISTER_AND_IGNORE: 6 } as const;
const IN = { KEYS: 0, RESERVATION: 1, CAPABILITIES: 2, FULL_STATUS: 3 } as const;
export const PR_LIST_BYTES = 24;
/** Flags in byte 20 of the list: the list names initiator ports, all target ports, keep over a loss of power. */
const FLAG = { PORTS: 0x08, ALL_TARGET_PORTS: 0x04, KEEP: 0x01 } as const;
/** The SCSI types, indexed by NVMe type. */
const TYPES = [0, 1, 3, 5, 6, 7, 8] as const;
/** The types, as bits of REPORT CAPABILITIES. */
const TYPE_MASK = 0xea01;
const NAME_OF_NEXUS = /^scsi ([0-9]+) (.*)$/;

/** Name of a nexus among the registrants of a volume. */
export function nexusName(initiatorPort: string, targetPort: number): string {
  return `scsi ${targetPort} ${initiatorPort}`;
}

/** Returns the length of the data-out of PERSISTENT RESERVE OUT; null if the list has a wrong length. */
export function outListBytes(cdb: Buffer): number | null {
  return cdb.readUInt32BE(5) === PR_LIST_BYTES ? PR_LIST_BYTES : null;
}

/** Returns what PERSISTENT RESERVE OUT does, or why it is refused. */
export function outAction(cdb: Buffer, list: Buffer): ReservationAction | Outcome {
  const action = cdb[1]! & 0x1f;
  const [current, victim, flags] = [keyAt(list, 0), keyAt(list, 8), list[20]!];
  const isRegister = action === OUT.REGISTER || action === OUT.REGISTER_AND_IGNORE;
  if ((flags & FLAG.PORTS) !== 0 || (isRegister && (flags & FLAG.ALL_TARGET_PORTS) !== 0)) return SENSE.INVALID_PARAMETER;
  if (isRegister) {
    const ptpl = (flags & FLAG.KEEP) !== 0;
    return { verb: 'enter', current: action === OUT.REGISTER ? current : null, key: victim, ptpl };
  }
  if (action === OUT.CLEAR) return { verb: 'clear', current };
  const type = typeOf(cdb[2]! & 0x0f);
  // Reservations always apply to the whole unit.
  if (type === null || cdb[2]! >>> 4 !== 0) return SENSE.INVALID_FIELD;
  if (action === OUT.RESERVE) return { verb: 'acquire', current, type };
  // PREEMPT and PREEMPT AND ABORT are the same: both wait for the end of I/O that the reservation refuses.
  return action === OUT.RELEASE ? { verb: 'release', current, type } : { verb: 'preempt', current, victim, type };
}

function typeOf(number: number): ReservationType | null {
  const at = TYPES.findIndex((type, index) => index > 0 && type === number);
  return at < 0 ? null : (at as ReservationType);
}

/** The outcome of a command whose result is known. */
export function outOutcome(outcome: Exclude<ReservationOutcome, 'unknown'>, action: ReservationAction): Outcome {
  switch (outcome) {
    case 'done':
      return GOOD;
    case 'conflict':
      return CONFLICT;
    case 'invalid':
      return action.verb === 'release' ? SENSE.INVALID_RELEASE : SENSE.INVALID_PARAMETER;
    case 'full':
      return SENSE.NO_REGISTRATION_ROOM;
    case 'interrupted':
      return BUSY;
  }
}

/** Returns the data of PERSISTENT RESERVE IN. */
export function inData(cdb: Buffer, state: ReservationState): Buffer {
  switch (cdb[1]! & 0x1f) {
    case IN.KEYS:
      return withHead(
        state,
        state.registrants.map(({ key }) => inBytes(key)),
      );
    case IN.RESERVATION:
      return withHead(state, state.type === 0 ? [] : [reservationOf(state)]);
    case IN.CAPABILITIES:
      return capabilities(state);
    default:
      return withHead(
        state,
        state.registrants.map((registrant) => fullStatus(state, registrant)),
      );
  }
}

function withHead({ generation }: ReservationState, parts: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(generation, 0);
  head.writeUInt32BE(
    parts.reduce((sum, { length }) => sum + length, 0),
    4,
  );
  return Buffer.concat([head, ...parts]);
}

function reservationOf({ type, holder, registrants }: ReservationState): Buffer {
  const bytes = Buffer.alloc(16);
  const key = registrants.find(({ hostId }) => hostId === holder)?.key;
  // With a reservation for all registrants, the key is 0.
  if (key !== undefined) inBytes(key).copy(bytes, 0);
  bytes[13] = TYPES[type];
  return bytes;
}

function capabilities({ ptpl }: ReservationState): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16BE(8, 0);
  // Reservations can be kept over a loss of power; the mask of types is valid.
  bytes[2] = 0x01;
  bytes[3] = 0x80 | (ptpl ? 0x01 : 0x00);
  bytes.writeUInt16BE(TYPE_MASK, 4);
  return bytes;
}

/** An NVMe registrant has no SCSI port. It is shown with its name and the port number 0. */
function fullStatus(state: ReservationState, { hostId, key }: ReservationState['registrants'][number]): Buffer {
  const [, port = '0', name = hostId] = NAME_OF_NEXUS.exec(hostId) ?? [];
  const isHolder = holds(state, hostId);
  const transportId = transportIdOf(name);
  const bytes = Buffer.alloc(24);
  inBytes(key).copy(bytes, 0);
  bytes[12] = isHolder ? 0x01 : 0x00;
  bytes[13] = isHolder ? TYPES[state.type] : 0;
  bytes.writeUInt16BE(Number(port) & 0xffff, 18);
  bytes.writeUInt32BE(transportId.length, 20);
  return Buffer.concat([bytes, transportId]);
}

/** Returns the name of an iSCSI initiator port as a TransportID. */
function transportIdOf(name: string): Buffer {
  const nameBytes = Math.max(20, (Math.floor(Buffer.byteLength(name) / 4) + 1) * 4);
  const bytes = Buffer.alloc(4 + nameBytes);
  bytes[0] = name.includes(',i,0x') ? 0x45 : 0x05;
  bytes.writeUInt16BE(nameBytes, 2);
  bytes.write(name, 4);
  return bytes;
}

function keyAt(bytes: Buffer, at: number): string {
  return bytes.toString('hex', at, at + 8);
}

function inBytes(key: string): Buffer {
  return Buffer.from(key, 'hex');
}
