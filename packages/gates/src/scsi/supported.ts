// REPORT SUPPORTED OPERATION CODES and REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS. Pure. Source: SPC-4, 6.35 and 6.36. Invariant: the
// report lists exactly the table of commands, without RESERVE and RELEASE where the unit does not know them.

import { SCSI_COMMAND_S } from '../limits.ts';
import { COMMANDS, type Command, commandsWith, lengthOf } from './command-table.ts';
import { type Outcome, SENSE } from './constants.ts';

const WANTED = { ALL: 0, OPCODE: 1, ACTION: 2, EITHER: 3 } as const;
const SUPPORT = { NO: 1, AS_STANDARD: 3 } as const;
const COMMAND_BYTES = 8;
const TIMEOUTS_BYTES = 12;

/** Returns the data of REPORT SUPPORTED OPERATION CODES, or why it is refused. `mayReserve`: whether the unit knows RESERVE (6). */
export function supportedCodes(cdb: Buffer, mayReserve: boolean): Buffer | Outcome {
  const isKnown = ({ kind }: Command): boolean => mayReserve || (kind !== 'reserve' && kind !== 'release');
  const hasTimeouts = (cdb[2]! & 0x80) !== 0;
  const wanted = cdb[2]! & 0x07;
  if (wanted === WANTED.ALL) return allCodes(COMMANDS.filter(isKnown), hasTimeouts);
  const known = commandsWith(cdb[3]!).filter(isKnown);
  const hasActions = known[0] !== undefined && known[0].action >= 0;
  const action = cdb.readUInt16BE(4);
  const found = hasActions ? known.find((command) => command.action === action) : known[0];
  switch (wanted) {
    case WANTED.OPCODE:
      return hasActions ? SENSE.INVALID_FIELD : oneCode(found, hasTimeouts);
    case WANTED.ACTION:
      return hasActions || known.length === 0 ? oneCode(found, hasTimeouts) : SENSE.INVALID_FIELD;
    case WANTED.EITHER:
      return oneCode(hasActions || action === 0 ? found : undefined, hasTimeouts);
    default:
      return SENSE.INVALID_FIELD;
  }
}

function allCodes(commands: readonly Command[], hasTimeouts: boolean): Buffer {
  return Buffer.concat([
    inFourBytes(commands.length * (COMMAND_BYTES + (hasTimeouts ? TIMEOUTS_BYTES : 0))),
    ...commands.flatMap((command) => (hasTimeouts ? [descriptor(command, true), timeouts()] : [descriptor(command, false)])),
  ]);
}

function descriptor(command: Command, hasTimeouts: boolean): Buffer {
  const bytes = Buffer.alloc(COMMAND_BYTES);
  bytes[0] = command.opcode;
  if (command.action >= 0) {
    bytes.writeUInt16BE(command.action, 2);
    bytes[5] = 0x01;
  }
  if (hasTimeouts) bytes[5]! |= 0x02;
  bytes.writeUInt16BE(lengthOf(command), 6);
  return bytes;
}

/** The longest time after which a command is answered. */
function timeouts(): Buffer {
  const bytes = Buffer.alloc(TIMEOUTS_BYTES);
  bytes.writeUInt16BE(TIMEOUTS_BYTES - 2, 0);
  bytes.writeUInt32BE(SCSI_COMMAND_S, 8);
  return bytes;
}

function oneCode(command: Command | undefined, hasTimeouts: boolean): Buffer {
  if (command === undefined) return Buffer.from([0, SUPPORT.NO, 0, 0]);
  const usage = Buffer.from(command.usage);
  // In the usage data, the field of the service action contains the action itself.
  if (command.action >= 0) usage[1] = (usage[1]! & 0xe0) | command.action;
  const head = Buffer.from([0, SUPPORT.AS_STANDARD | (hasTimeouts ? 0x80 : 0), 0, usage.length]);
  return Buffer.concat(hasTimeouts ? [head, usage, timeouts()] : [head, usage]);
}

/** ABORT TASK, ABORT TASK SET, CLEAR TASK SET, LOGICAL UNIT RESET, TARGET RESET. */
export function supportedFunctions(cdb: Buffer): Buffer {
  const bytes = Buffer.alloc((cdb[2]! & 0x80) === 0 ? 4 : 16);
  bytes[0] = 0b1101_1010;
  if (bytes.length > 4) bytes[3] = bytes.length - 4;
  return bytes;
}

function inFourBytes(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value, 0);
  return bytes;
}
