// The codec of reservations: translates commands of hosts into actions, and builds the report. Pure. Offsets follow NVMe Base 2.0, 7.2 to
// 7.5. Keys are 64-bit numbers, written as 16 hexadecimal digits.

import { createHash } from 'node:crypto';
import type { NvmeCommand } from './nvme-command.ts';
import type { ReservationState, ReservationType } from '@rsio/rsiod/notes/reservation-state';
import { holds, type ReservationAction } from '../reservations/reservation-rules.ts';
import type { ReservationOutcome } from '../reservations/reservations.ts';
import { CODE, type Code, DNR, IO } from './wire/constants.ts';

const IGNORES_KEY = 0x8;
const EXTENDED = 0x1;
const REPORT_HEADER_BYTES = 64;
const REGISTRANT_BYTES = 64;
const HOST_ID_BYTES = 16;
/** The report does not name the registrant's controller, because hosts create controllers dynamically. */
const DYNAMIC_CONTROLLER = 0xffff;

/** Returns the bytes of data that a reservation command must have; 0 for other commands and for a report. */
export function reservationBytes(opcode: number): number {
  if (opcode === IO.RESERVATION_RELEASE) return 8;
  return opcode === IO.RESERVATION_REGISTER || opcode === IO.RESERVATION_ACQUIRE ? 16 : 0;
}

/** Returns the action of a reservation command, or a code if the command is invalid in itself. */
export function reservationAction(command: NvmeCommand): ReservationAction | Code {
  const ten = command.dword(10);
  switch (command.opcode) {
    case IO.RESERVATION_REGISTER:
      return registerAction(command, ten);
    case IO.RESERVATION_REPORT:
      // Host identifiers have 128 bits, which fit only into the extended report.
      return (command.dword(11) & EXTENDED) === 0 ? CODE.HOST_ID_FORMAT | DNR : { verb: 'report' };
    default:
      return heldAction(command, ten);
  }
}

function registerAction({ buffer }: NvmeCommand, ten: number): ReservationAction | Code {
  const change = ten >>> 30;
  if (change === 1) return CODE.INVALID_FIELD | DNR;
  const ptpl = change === 0 ? null : change === 3;
  const [current, key] = [(ten & IGNORES_KEY) === 0 ? keyAt(buffer, 0) : null, keyAt(buffer, 8)];
  switch (ten & 7) {
    case 0:
      return { verb: 'register', key, ptpl };
    case 1:
      return { verb: 'unregister', current, ptpl };
    case 2:
      return { verb: 'replace', current, key, ptpl };
    default:
      return CODE.INVALID_FIELD | DNR;
  }
}

function heldAction({ opcode, buffer }: NvmeCommand, ten: number): ReservationAction | Code {
  const type = (ten >>> 8) & 0xff;
  const isAcquire = opcode === IO.RESERVATION_ACQUIRE;
  const what = ten & 7;
  // As in version 1.3, these commands cannot ignore keys.
  if ((ten & IGNORES_KEY) !== 0 || what > (isAcquire ? 2 : 1)) return CODE.INVALID_FIELD | DNR;
  const current = keyAt(buffer, 0);
  if (!isAcquire && what === 1) return { verb: 'clear', current };
  if (!isType(type)) return CODE.INVALID_FIELD | DNR;
  if (!isAcquire) return { verb: 'release', current, type };
  // Preempt and Preempt and Abort are the same: both wait for the end of I/O that the new state refuses.
  return what === 0 ? { verb: 'acquire', current, type } : { verb: 'preempt', current, victim: keyAt(buffer, 8), type };
}

/** The extended report. A host that asks for more gets additional zeros; a host that asks for less gets the beginning. */
export function reservationReport(state: ReservationState): Buffer {
  const { generation, type, ptpl, registrants } = state;
  const report = Buffer.alloc(REPORT_HEADER_BYTES + registrants.length * REGISTRANT_BYTES);
  report.writeUInt32LE(generation, 0);
  report[4] = type;
  report.writeUInt16LE(registrants.length, 5);
  report[9] = ptpl ? 1 : 0;
  for (const [index, { hostId, key }] of registrants.entries()) {
    const at = REPORT_HEADER_BYTES + index * REGISTRANT_BYTES;
    report.writeUInt16LE(DYNAMIC_CONTROLLER, at);
    report[at + 2] = holds(state, hostId) ? 1 : 0;
    report.writeBigUInt64LE(BigInt(`0x${key}`), at + 8);
    identifierOf(hostId).copy(report, at + 16);
  }
  return report;
}

/** A SCSI nexus has no host identifier, so the report shows a hash of its name. */
function identifierOf(hostId: string): Buffer {
  const bytes = Buffer.from(hostId, 'hex');
  return bytes.length === HOST_ID_BYTES ? bytes : createHash('sha256').update(hostId).digest().subarray(0, HOST_ID_BYTES);
}

/** The code for an outcome that is known. */
export function reservationCode(outcome: Exclude<ReservationOutcome, 'unknown'>): Code {
  const codes: Readonly<Record<typeof outcome, Code>> = {
    done: CODE.OK,
    conflict: CODE.RESERVATION_CONFLICT | DNR,
    invalid: CODE.INVALID_FIELD | DNR,
    full: CODE.INTERNAL_ERROR | DNR,
    interrupted: CODE.COMMAND_INTERRUPTED,
  };
  return codes[outcome];
}

function keyAt(buffer: Buffer, at: number): string {
  return buffer.readBigUInt64LE(at).toString(16).padStart(16, '0');
}

function isType(type: number): type is ReservationType {
  return type >= 1 && type <= 6;
}
