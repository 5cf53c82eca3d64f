// Commands that the engine answers at once, about a unit or its target: what it is, its modes, its ports, its reservation by RESERVE. Invariant:
// a command that is refused changes nothing.

import { GATE_MEMBERS_MAX } from '@rsio/common/config/schema/limits';
import { SCSI_PARAMETERS_MAX_BYTES } from '../limits.ts';
import { ATTENTION, CONFLICT, GOOD, OP, SENSE, type Outcome } from './constants.ts';
import { copyParameters, copyStatus } from './copy-parameters.ts';
import { inquiry } from './inquiry.ts';
import type { LogicalUnit, UnitUser } from './logical-unit.ts';
import { modeSelect, modeSense } from './mode-pages.ts';
import type { ScsiTargetOptions } from './port.ts';
import { checkedListBytes, ordersHere, portGroups } from './port-groups.ts';
import { outListBytes } from './reservation-codec.ts';
import type { ScsiTask } from './scsi-task.ts';
import { NO_EXTRAS, writeSense } from './sense.ts';
import { supportedCodes, supportedFunctions } from './supported.ts';
import { writeLun } from './lun.ts';

// READ CAPACITY and REPORT LUNS. Pure. Sources: SBC-3, 5.15 and 5.16; SPC-4, 6.33. Invariant: if a host needs the longer command, the
// answer to the shorter command tells it so.
const SHORT_BYTES = 8;
const LONG_BYTES = 32;
/** Blocks may be unmapped, and unmapped blocks read as zeros. */
const THIN = 0xc0;

/** READ CAPACITY (10). PMI and a block address are for old disks. */
function shortCapacity(cdb: Buffer, { blocks, blockSizeBytes }: LogicalUnit): Buffer | Outcome {
  if ((cdb[8]! & 1) === 0 && cdb.readUInt32BE(2) !== 0) return SENSE.INVALID_FIELD;
  const bytes = Buffer.alloc(SHORT_BYTES);
  bytes.writeUInt32BE(Math.min(Math.max(blocks - 1, 0), 0xffff_ffff), 0);
  bytes.writeUInt32BE(blockSizeBytes, 4);
  return bytes;
}

function longCapacity({ blocks, blockSizeBytes, port }: LogicalUnit): Buffer {
  const bytes = Buffer.alloc(LONG_BYTES);
  bytes.writeBigUInt64BE(BigInt(Math.max(blocks - 1, 0)), 0);
  bytes.writeUInt32BE(blockSizeBytes, 8);
  bytes[14] = port.volume.canDiscard ? THIN : 0;
  return bytes;
}

const SELECT = { ADDRESSED: 0x00, WELL_KNOWN: 0x01, ALL: 0x02 } as const;

/** REPORT LUNS. A target has no well-known units. */
function unitList(cdb: Buffer, luns: readonly number[]): Buffer | Outcome {
  const select = cdb[2]!;
  if (select > SELECT.ALL) return SENSE.INVALID_FIELD;
  if (cdb.readUInt32BE(6) < 16) return SENSE.INVALID_FIELD;
  const shown = select === SELECT.WELL_KNOWN ? [] : luns;
  const bytes = Buffer.alloc(8 + 8 * shown.length);
  bytes.writeUInt32BE(8 * shown.length, 0);
  for (const [index, lun] of shown.entries()) writeLun(bytes, 8 + 8 * index, lun);
  return bytes;
}

/** The target of a command. */
export interface CommandTarget {
  readonly options: ScsiTargetOptions;
  /** Numbers of the units, in order. */
  readonly luns: readonly number[];
}

/** The nexus of a command. */
export interface CommandUser extends UnitUser {
  readonly targetPort: number;
  takeCopyResult(id: number): boolean | null;
}

const SENSE_BYTES = 64;

/** Sets the data-out of a command that is not for blocks, or returns why it is refused. */
export function planParameters(task: ScsiTask): Outcome {
  const listBytes = listBytesOf(task);
  if (listBytes === null) return SENSE.LIST_LENGTH;
  task.presentedBytes = listBytes;
  if (task.announcedOutBytes < listBytes) return SENSE.SHORT_DATA;
  task.outBytes = listBytes;
  task.memoryBytes = listBytes;
  return GOOD;
}

/** Bytes of the parameter list; null if there can be no such list. */
function listBytesOf({ cdb, command }: ScsiTask): number | null {
  switch (command?.kind) {
    case 'mode select': {
      const listBytes = cdb[0] === OP.MODE_SELECT_10 ? cdb.readUInt16BE(7) : cdb[4]!;
      return listBytes <= SCSI_PARAMETERS_MAX_BYTES ? listBytes : null;
    }
    case 'pr out':
      return outListBytes(cdb);
    case 'set groups':
      return checkedListBytes(cdb, GATE_MEMBERS_MAX);
    default:
      return 0;
  }
}

/** Executes a command, and sets its data. Returns its outcome. */
export function executeNow(task: ScsiTask, user: CommandUser, target: CommandTarget): Outcome {
  const answer = answerTo(task, user, target);
  const kind = task.command?.kind;
  // Point to the wrong field, because a host would otherwise treat the whole command as not supported.
  if (answer === SENSE.INVALID_FIELD && (kind === 'codes' || kind === 'inquiry')) task.field = 2;
  if (typeof answer === 'number') return answer;
  task.give(answer, allocatedBy(task.cdb));
  return GOOD;
}

/** The allocation length of a command with data-in. */
function allocatedBy(cdb: Buffer): number {
  switch (cdb[0]) {
    case OP.INQUIRY:
      return cdb.readUInt16BE(3);
    case OP.REQUEST_SENSE:
    case OP.MODE_SENSE_6:
      return cdb[4]!;
    case OP.MODE_SENSE_10:
      return cdb.readUInt16BE(7);
    case OP.SERVICE_ACTION_IN_16:
    case OP.RECEIVE_COPY_RESULTS:
      return cdb.readUInt32BE(10);
    case OP.READ_CAPACITY_10:
      return Infinity;
    default:
      return cdb.readUInt32BE(6);
  }
}

function answerTo(task: ScsiTask, user: CommandUser, target: CommandTarget): Buffer | Outcome {
  const { cdb, command, unit } = task;
  switch (command?.kind) {
    case 'inquiry':
      return inquiry(cdb, unit, target.options, user.targetPort);
    case 'luns':
      return unitList(cdb, target.luns);
    case 'sense':
      return senseOf(cdb, unit, user);
    case 'functions':
      return supportedFunctions(cdb);
    case 'codes':
      return supportedCodes(cdb, unit === null || mayReserve(unit, target.options));
    default:
      return unit === null ? SENSE.NO_UNIT : answerOf(task, unit, user, target);
  }
}

function answerOf(task: ScsiTask, unit: LogicalUnit, user: CommandUser, { options }: CommandTarget): Buffer | Outcome {
  const { cdb, command } = task;
  switch (command?.kind) {
    case 'capacity':
      return cdb[0] === OP.READ_CAPACITY_10 ? shortCapacity(cdb, unit) : longCapacity(unit);
    case 'mode sense':
      return modeSense(cdb, cdb[0] === OP.MODE_SENSE_10, unit);
    case 'mode select':
      return selectModes(task, unit, user);
    case 'reserve':
      return mayReserve(unit, options) ? reserve(cdb, unit, user) : SENSE.INVALID_OPCODE;
    case 'release':
      if (!mayReserve(unit, options)) return SENSE.INVALID_OPCODE;
      unit.release(user);
      return GOOD;
    case 'groups':
      return portGroups(cdb, unit.port.access, options.member, options.ports());
    case 'set groups':
      return setGroups(task, unit, options.member);
    case 'copy parameters':
      return copyParameters(unit.blockSizeBytes);
    case 'copy status': {
      const result = user.takeCopyResult(cdb[2]!);
      return result === null ? SENSE.INVALID_FIELD : copyStatus(result);
    }
    default:
      return GOOD;
  }
}

/** REQUEST SENSE: returns the next unit attention of the nexus, or sense data that reports nothing. */
function senseOf(cdb: Buffer, unit: LogicalUnit | null, user: UnitUser): Buffer {
  const bytes = Buffer.alloc(SENSE_BYTES);
  const code = unit === null ? SENSE.NO_UNIT : unit.takeAttention(user);
  return bytes.subarray(0, writeSense(bytes, code, (cdb[1]! & 1) !== 0, NO_EXTRAS));
}

function selectModes({ cdb, buffer, outBytes }: ScsiTask, unit: LogicalUnit, user: UnitUser): Outcome {
  const modes = modeSelect(cdb, cdb[0] === OP.MODE_SELECT_10, buffer.subarray(0, outBytes), unit);
  if (typeof modes === 'number') return modes;
  const { isDescriptorSense, isWriteProtected } = unit.modes;
  if (modes.isDescriptorSense !== isDescriptorSense || modes.isWriteProtected !== isWriteProtected)
    unit.raise(ATTENTION.MODE_CHANGED, user);
  unit.modes = modes;
  return GOOD;
}

/**
 * A reservation by RESERVE (6) ends with the session of its host, so that no record can keep it for a gate on another machine. A unit that
 * another gate can have, and one without reservations, therefore does not know the command. Hosts then use persistent reservations.
 */
function mayReserve({ port }: LogicalUnit, { hasPartner }: ScsiTargetOptions): boolean {
  return !hasPartner && port.reservations !== null;
}

/** Only old disks support RESERVE for another host or for a part of the unit. A unit has either these reservations or persistent ones. */
function reserve(cdb: Buffer, unit: LogicalUnit, user: UnitUser): Outcome {
  if ((cdb[1]! & 0x11) !== 0) return SENSE.INVALID_FIELD;
  const { reservations } = unit.port;
  if (reservations === null || reservations.state.registrants.length > 0) return CONFLICT;
  reservations.reservedBy = user;
  return GOOD;
}

function setGroups({ buffer, outBytes }: ScsiTask, unit: LogicalUnit, member: number): Outcome {
  const isOrdered = ordersHere(buffer.subarray(0, outBytes), member);
  if (typeof isOrdered === 'number') return isOrdered;
  return isOrdered && !unit.port.orderHere() ? SENSE.STATE_NOT_CHANGED : GOOD;
}
