// The commands of the engine: what each does, what it needs, and which bits of its command block have a meaning. Pure. Source: SPC-4,
// SBC-3. Invariant: a command is supported if and only if it is in this table; REPORT SUPPORTED OPERATION CODES reports this table.

import { OP } from './constants.ts';

/**
 * When reservations refuse the command. `never`: never. `reserved`: while another host has reserved the unit with RESERVE. `read` and
 * `change`: also if a persistent reservation refuses reads or changes.
 */
export type Conflict = 'never' | 'reserved' | 'read' | 'change';

/** `nothing`: the command is answered even if there is no unit. `unit`: even by a standby. `volume`: only while the unit is active. */
export type Needs = 'nothing' | 'unit' | 'volume';

/** The command's kind, which selects the code that executes it. */
export type Kind =
  | 'ready'
  | 'sense'
  | 'inquiry'
  | 'mode sense'
  | 'mode select'
  | 'reserve'
  | 'release'
  | 'start stop'
  | 'capacity'
  | 'luns'
  | 'codes'
  | 'functions'
  | 'groups'
  | 'set groups'
  | 'pr in'
  | 'pr out'
  | 'read'
  | 'write'
  | 'write and verify'
  | 'verify'
  | 'prefetch'
  | 'flush'
  | 'write same'
  | 'unmap'
  | 'orwrite'
  | 'compare and write'
  | 'block status'
  | 'copy'
  | 'copy status'
  | 'copy parameters';

/** `blocks`: a volume executes the command. `reservations`: the volume's reservations execute it. `now`: the engine answers it at once. */
export type Place = 'blocks' | 'reservations' | 'now';

const OF_BLOCKS: ReadonlySet<Kind> = new Set([
  'start stop',
  'read',
  'write',
  'write and verify',
  'verify',
  'prefetch',
  'flush',
  'write same',
  'unmap',
  'orwrite',
  'compare and write',
  'block status',
  'copy',
]);

function placeOf(kind: Kind): Place {
  if (OF_BLOCKS.has(kind)) return 'blocks';
  return kind === 'pr in' || kind === 'pr out' ? 'reservations' : 'now';
}

/**
 * Commands whose repetition has another result, or changes something again that others have changed meanwhile. Once one of them has changed
 * something, its host never gets an answer after which it would repeat the command.
 */
const ONCE: ReadonlySet<Kind> = new Set(['compare and write', 'orwrite', 'copy']);

export function isOnce(kind: Kind): boolean {
  return ONCE.has(kind);
}

export interface Command {
  readonly opcode: number;
  /** -1 if the opcode has no service actions. */
  readonly action: number;
  readonly kind: Kind;
  readonly conflict: Conflict;
  readonly needs: Needs;
  readonly place: Place;
  /** A command block in which every bit that has a meaning is set; its length is the length of the command block. */
  readonly usage: Buffer;
}

/** Bits 4 to 0 of byte 1: the service action, for opcodes that have service actions, including PERSISTENT RESERVE OUT and IN. */
const ACTION_BITS = 0x1f;

type Row = readonly [opcode: number, action: number, kind: Kind, conflict: Conflict, needs: Needs, usage: string];

// The usage is in hexadecimal digits, from byte 1 on. Byte 0 is the opcode. The last byte is the control byte, which is not used.
const ROWS: readonly Row[] = [
  [OP.TEST_UNIT_READY, -1, 'ready', 'reserved', 'volume', '0000000000'],
  [OP.REQUEST_SENSE, -1, 'sense', 'never', 'nothing', '010000ff00'],
  [OP.READ_6, -1, 'read', 'read', 'volume', '1fffffff00'],
  [OP.WRITE_6, -1, 'write', 'change', 'volume', '1fffffff00'],
  [OP.INQUIRY, -1, 'inquiry', 'never', 'nothing', '01ffffff00'],
  [OP.MODE_SELECT_6, -1, 'mode select', 'change', 'unit', '110000ff00'],
  [OP.RESERVE_6, -1, 'reserve', 'reserved', 'volume', '0000000000'],
  [OP.RELEASE_6, -1, 'release', 'never', 'volume', '0000000000'],
  [OP.MODE_SENSE_6, -1, 'mode sense', 'read', 'unit', '08ffffff00'],
  [OP.START_STOP_UNIT, -1, 'start stop', 'change', 'volume', '01000ff700'],
  [OP.READ_CAPACITY_10, -1, 'capacity', 'reserved', 'unit', '000000000000000000'],
  [OP.READ_10, -1, 'read', 'read', 'volume', '18ffffffff00ffff00'],
  [OP.WRITE_10, -1, 'write', 'change', 'volume', '18ffffffff00ffff00'],
  [OP.WRITE_AND_VERIFY_10, -1, 'write and verify', 'change', 'volume', '16ffffffff00ffff00'],
  [OP.VERIFY_10, -1, 'verify', 'read', 'volume', '16ffffffff00ffff00'],
  [OP.PRE_FETCH_10, -1, 'prefetch', 'read', 'volume', '02ffffffff00ffff00'],
  [OP.SYNCHRONIZE_CACHE_10, -1, 'flush', 'change', 'volume', '02ffffffff00ffff00'],
  [OP.WRITE_SAME_10, -1, 'write same', 'change', 'volume', '08ffffffff00ffff00'],
  [OP.UNMAP, -1, 'unmap', 'change', 'volume', '000000000000ffff00'],
  [OP.MODE_SELECT_10, -1, 'mode select', 'change', 'unit', '110000000000ffff00'],
  [OP.MODE_SENSE_10, -1, 'mode sense', 'read', 'unit', '18ffff000000ffff00'],
  [OP.PERSISTENT_RESERVE_IN, 0, 'pr in', 'reserved', 'volume', '1f0000000000ffff00'],
  [OP.PERSISTENT_RESERVE_IN, 1, 'pr in', 'reserved', 'volume', '1f0000000000ffff00'],
  [OP.PERSISTENT_RESERVE_IN, 2, 'pr in', 'reserved', 'volume', '1f0000000000ffff00'],
  [OP.PERSISTENT_RESERVE_IN, 3, 'pr in', 'reserved', 'volume', '1f0000000000ffff00'],
  [OP.PERSISTENT_RESERVE_OUT, 0, 'pr out', 'reserved', 'volume', '1fff0000ffffffff00'],
  [OP.PERSISTENT_RESERVE_OUT, 1, 'pr out', 'reserved', 'volume', '1fff0000ffffffff00'],
  [OP.PERSISTENT_RESERVE_OUT, 2, 'pr out', 'reserved', 'volume', '1fff0000ffffffff00'],
  [OP.PERSISTENT_RESERVE_OUT, 3, 'pr out', 'reserved', 'volume', '1fff0000ffffffff00'],
  [OP.PERSISTENT_RESERVE_OUT, 4, 'pr out', 'reserved', 'volume', '1fff0000ffffffff00'],
  [OP.PERSISTENT_RESERVE_OUT, 5, 'pr out', 'reserved', 'volume', '1fff0000ffffffff00'],
  [OP.PERSISTENT_RESERVE_OUT, 6, 'pr out', 'reserved', 'volume', '1fff0000ffffffff00'],
  [OP.EXTENDED_COPY, 0, 'copy', 'change', 'volume', '1f0000000000000000ffffffff0000'],
  [OP.RECEIVE_COPY_RESULTS, 0, 'copy status', 'reserved', 'volume', '1fff00000000000000ffffffff0000'],
  [OP.RECEIVE_COPY_RESULTS, 3, 'copy parameters', 'reserved', 'unit', '1fff00000000000000ffffffff0000'],
  [OP.READ_16, -1, 'read', 'read', 'volume', '18ffffffffffffffffffffffff0000'],
  [OP.COMPARE_AND_WRITE, -1, 'compare and write', 'change', 'volume', '18ffffffffffffffff000000ff0000'],
  [OP.WRITE_16, -1, 'write', 'change', 'volume', '18ffffffffffffffffffffffff0000'],
  [OP.ORWRITE_16, -1, 'orwrite', 'change', 'volume', '18ffffffffffffffffffffffff0000'],
  [OP.WRITE_AND_VERIFY_16, -1, 'write and verify', 'change', 'volume', '16ffffffffffffffffffffffff0000'],
  [OP.VERIFY_16, -1, 'verify', 'read', 'volume', '16ffffffffffffffffffffffff0000'],
  [OP.PRE_FETCH_16, -1, 'prefetch', 'read', 'volume', '02ffffffffffffffffffffffff0000'],
  [OP.SYNCHRONIZE_CACHE_16, -1, 'flush', 'change', 'volume', '02ffffffffffffffffffffffff0000'],
  [OP.WRITE_SAME_16, -1, 'write same', 'change', 'volume', '09ffffffffffffffffffffffff0000'],
  [OP.SERVICE_ACTION_IN_16, 0x10, 'capacity', 'reserved', 'unit', '1f0000000000000000ffffffff0000'],
  [OP.SERVICE_ACTION_IN_16, 0x12, 'block status', 'read', 'volume', '1fffffffffffffffffffffffff0000'],
  [OP.REPORT_LUNS, -1, 'luns', 'never', 'nothing', '00ff000000ffffffff0000'],
  [OP.MAINTENANCE_IN, 0x0a, 'groups', 'never', 'unit', '3f00000000ffffffff0000'],
  [OP.MAINTENANCE_IN, 0x0c, 'codes', 'reserved', 'unit', '1f87ffffffffffffff0000'],
  [OP.MAINTENANCE_IN, 0x0d, 'functions', 'reserved', 'unit', '1f80000000ffffffff0000'],
  [OP.MAINTENANCE_OUT, 0x0a, 'set groups', 'reserved', 'unit', '1f00000000ffffffff0000'],
  [OP.READ_12, -1, 'read', 'read', 'volume', '18ffffffffffffffff0000'],
  [OP.WRITE_12, -1, 'write', 'change', 'volume', '18ffffffffffffffff0000'],
  [OP.WRITE_AND_VERIFY_12, -1, 'write and verify', 'change', 'volume', '16ffffffffffffffff0000'],
  [OP.VERIFY_12, -1, 'verify', 'read', 'volume', '16ffffffffffffffff0000'],
];

export const COMMANDS: readonly Command[] = ROWS.map(([opcode, action, kind, conflict, needs, usage]) => ({
  opcode,
  action,
  kind,
  conflict,
  needs,
  place: placeOf(kind),
  usage: Buffer.from(opcode.toString(16).padStart(2, '0') + usage, 'hex'),
}));

const BY_OPCODE: readonly (readonly Command[])[] = Array.from({ length: 256 }, (_, opcode) =>
  COMMANDS.filter((command) => command.opcode === opcode),
);

/** All commands with an opcode; several if it has service actions. */
export function commandsWith(opcode: number): readonly Command[] {
  return BY_OPCODE[opcode] ?? [];
}

/** Returns the service action in a command block whose opcode has service actions. */
export function actionIn(cdb: Buffer): number {
  return cdb[1]! & ACTION_BITS;
}

/** Returns the command in a command block, or `opcode` or `action` if that part is not supported. */
export function commandOf(cdb: Buffer): Command | 'opcode' | 'action' {
  const known = commandsWith(cdb[0]!);
  const [first] = known;
  if (first === undefined) return 'opcode';
  if (first.action < 0) return first;
  const action = actionIn(cdb);
  for (const command of known) if (command.action === action) return command;
  return 'action';
}

/** Length of a command block by the group of its opcode. */
export function lengthOf({ usage }: Command): number {
  return usage.length;
}
