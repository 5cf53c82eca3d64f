// The log pages of a controller. Offsets follow NVMe Base 2.0, 5.16.1. Invariant: reading a log changes nothing, with four exceptions.
// Later events of its kind are reported again, the log of changed namespaces is emptied, the next notice about reservations appears, and a
// host may remove the entries of completed cross-controller resets.

import { GATE_CHANGED_MAX, GATE_COPY_MAX_BYTES } from '../limits.ts';
import { anaLog } from './ana.ts';
import type { CrossResets } from './cross-resets.ts';
import { discoveryLog } from './discovery.ts';
import { PAGE_BYTES } from './identify.ts';
import type { NvmeCommand } from './nvme-command.ts';
import type { ReservationNotices } from './reservation-notices.ts';
import type { SubsystemView } from './subsystem-view.ts';
import { ADMIN, ALL_NAMESPACES, CODE, type Code, DNR, IO, LOG } from './wire/constants.ts';

/** The parts of a controller that its logs use. */
export interface Logged {
  readonly hostNqn: string;
  readonly changedIds: ReadonlySet<number>;
  readonly reserved: ReservationNotices;
  readonly crossResets: CrossResets;
  logRead(log: number): void;
}

/** Returns the part of a log that a Get Log Page command asks for, or the code that refuses it. */
export function logPage(command: NvmeCommand, subsystem: SubsystemView, controller: Logged): Buffer | Code {
  const ten = command.dword(10);
  const lengthBytes = 4 * ((ten >>> 16) + (command.dword(11) & 0xffff) * 2 ** 16 + 1);
  const offsetBytes = command.dword(12) + command.dword(13) * 2 ** 32;
  if (offsetBytes % 4 !== 0 || lengthBytes > GATE_COPY_MAX_BYTES) return CODE.INVALID_FIELD | DNR;
  const log = logOf(ten, subsystem, controller);
  if (typeof log === 'number') return log;
  if (offsetBytes > log.length) return CODE.INVALID_FIELD | DNR;
  const part = Buffer.alloc(lengthBytes);
  log.copy(part, 0, offsetBytes);
  // Bit 15, RAE: the host wants to keep the content of the log.
  if ((ten & 0x8000) === 0) controller.logRead(ten & 0xff);
  // Bit 8 of this log, RMC.
  if ((ten & 0xff) === LOG.CROSS_RESETS && (ten & 0x100) !== 0) controller.crossResets.removeCompleted();
  return part;
}

/** `ten` is CDW10, with the number of the log and its options. */
function logOf(ten: number, subsystem: SubsystemView, controller: Logged): Buffer | Code {
  const { discovery } = subsystem.options;
  const id = ten & 0xff;
  if (discovery !== null)
    return id === LOG.DISCOVERY ? discoveryLog(subsystem.generation, discovery(controller.hostNqn)) : CODE.INVALID_LOG_PAGE | DNR;
  switch (id) {
    case LOG.ERRORS:
      return Buffer.alloc(64);
    case LOG.HEALTH:
      return health();
    case LOG.FIRMWARE:
      return firmware(subsystem.options.version);
    case LOG.CHANGED:
      return changes(controller.changedIds);
    case LOG.ANA:
      return anaLog(subsystem, (ten & 0x100) === 0);
    case LOG.CROSS_RESETS:
      return controller.crossResets.log();
    case LOG.RESERVATIONS:
      return controller.reserved.log();
    case LOG.EFFECTS:
      return effects();
    default:
      return CODE.INVALID_LOG_PAGE | DNR;
  }
}

/** A gate has no medium that wears out: 27 degrees Celsius, all spare capacity, no warnings. */
function health(): Buffer {
  const log = Buffer.alloc(512);
  log.writeUInt16LE(300, 1);
  log[3] = 100;
  log[4] = 10;
  return log;
}

function firmware(version: string): Buffer {
  const log = Buffer.alloc(512);
  log[0] = 1;
  log.write(version.slice(0, 8).padEnd(8), 8, 8, 'latin1');
  return log;
}

function changes(ids: ReadonlySet<number>): Buffer {
  const log = Buffer.alloc(PAGE_BYTES);
  if (ids.size > GATE_CHANGED_MAX) log.writeUInt32LE(ALL_NAMESPACES, 0);
  else for (const [index, nsid] of [...ids].toSorted((one, other) => one - other).entries()) log.writeUInt32LE(nsid, 4 * index);
  return log;
}

/** Bit 0: the command is supported. Bit 1: the command changes the content of a namespace. */
function effects(): Buffer {
  const log = Buffer.alloc(PAGE_BYTES);
  const { FABRICS: _, ...admin } = ADMIN;
  for (const opcode of Object.values(admin)) log[4 * opcode] = 0x1;
  for (const opcode of Object.values(IO)) log[1024 + 4 * opcode] = 0x1;
  for (const opcode of [IO.WRITE, IO.WRITE_ZEROES, IO.DATASET_MANAGEMENT]) log[1024 + 4 * opcode] = 0x3;
  return log;
}
