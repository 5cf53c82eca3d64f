// READ, WRITE, FLUSH, DISCARD and ZERO: counts, ends of the volume, alignment, permissions, flags and handles, each with its status, and
// the order in which the server checks them. The cases are a table of requests; content.ts tests the data.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { IO_MAX_SECTORS, LBA_MAX, WIDE_UNIT_SECTORS } from '@rsio/protocol/wire/limits';
import { COUNT_MAX } from '@rsio/rsiod/volumes/limits';
import { FLAG, OP } from '@rsio/protocol/wire/frames';
import type { RawClient, RawRequest } from '../../support/peers/raw-peer.ts';
import { type Need, type ServerCase, serverCase } from '../base/case.ts';
import { answered, holds, type StatusName } from '../base/check.ts';
import { BLOCK, filled, SCRATCH, type Target } from '../base/target.ts';

type Request = (end: number) => RawRequest;
/** Opens the volume for the request, and returns the handle. */
type Opened = (target: Target, path: RawClient) => Promise<number>;

const OPS = { read: OP.READ, write: OP.WRITE, discard: OP.DISCARD, zero: OP.ZERO } as const;
const OP_NAMES = Object.entries(OPS).map(([name, op]) => ({ name, op, upper: name.toUpperCase() }));
const LAST_LBA = LBA_MAX - (LBA_MAX % BLOCK);

const plain: Opened = (target) => target.handle();

function ask(
  id: string,
  section: string,
  expects: string,
  request: Request,
  status: StatusName,
  open = plain,
  needs: readonly Need[] = [],
): ServerCase {
  const run = async (target: Target): Promise<void> => {
    const end = await target.end();
    const path = await target.path();
    const handle = await open(target, path);
    const asked = request(end);
    const body = asked.op === OP.WRITE ? { body: filled(asked.count ?? 0, 3) } : {};
    await answered(path, { handle, ...body, ...asked }, status);
    if (open !== plain) await path.call({ op: OP.CLOSE, handle });
  };
  return serverCase(id, section, `${expects}: ${status}`, run, { needs });
}

const I_O = 'I/O requests';

const COUNT_CASES: readonly ServerCase[] = [
  ...OP_NAMES.map(({ name, op, upper }) =>
    ask(`${name}.count.0`, I_O, `${upper} of no sectors`, () => ({ op, lba: SCRATCH }), 'BAD_REQUEST'),
  ),
  ask('discard.count.wide-0', I_O, 'DISCARD of no MiB', () => ({ op: OP.DISCARD, flags: FLAG.WIDE, lba: SCRATCH }), 'BAD_REQUEST'),
  ...OP_NAMES.map(({ name, op, upper }) =>
    ask(`${name}.count.some`, I_O, `${upper} of 8 sectors`, () => ({ op, lba: SCRATCH, count: BLOCK }), 'OK'),
  ),
  ...OP_NAMES.map(({ name, op, upper }) =>
    ask(`${name}.count.1-mib`, I_O, `${upper} of 2,048 sectors`, () => ({ op, lba: SCRATCH, count: IO_MAX_SECTORS }), 'OK'),
  ),
  ask('read.count.past', I_O, 'READ of 2,049 sectors', () => ({ op: OP.READ, count: IO_MAX_SECTORS + 1 }), 'BAD_REQUEST'),
  ask('read.count.largest', I_O, 'READ of 65,535 sectors', () => ({ op: OP.READ, count: COUNT_MAX }), 'BAD_REQUEST'),
  ask('flush.plain', I_O, 'FLUSH without lba and count', () => ({ op: OP.FLUSH }), 'OK'),
  ask('flush.lba', I_O, 'FLUSH with an lba', () => ({ op: OP.FLUSH, lba: BLOCK }), 'BAD_REQUEST'),
  ask('flush.count', I_O, 'FLUSH with a count', () => ({ op: OP.FLUSH, count: BLOCK }), 'BAD_REQUEST'),
];

const END_CASES: readonly ServerCase[] = [
  ...OP_NAMES.flatMap(({ name, op, upper }) => [
    ask(`${name}.end.last`, I_O, `${upper} of the last sectors`, (end) => ({ op, lba: end - BLOCK, count: BLOCK }), 'OK'),
    ask(`${name}.end.across`, I_O, `${upper} that goes past the end`, (end) => ({ op, lba: end - BLOCK, count: 2 * BLOCK }), 'PAST_END'),
    ask(`${name}.end.behind`, I_O, `${upper} behind the end`, (end) => ({ op, lba: end, count: BLOCK }), 'PAST_END'),
    ask(`${name}.end.farthest`, I_O, `${upper} at the last lba there can be`, () => ({ op, lba: LAST_LBA, count: BLOCK }), 'PAST_END'),
  ]),
  ...OP_NAMES.filter(({ name }) => name === 'discard' || name === 'zero').flatMap(({ name, op, upper }) => [
    ask(`${name}.wide.one`, 'Flags', `${upper} of one MiB`, () => ({ op, flags: FLAG.WIDE, lba: SCRATCH, count: 1 }), 'OK'),
    ask(
      `${name}.wide.across`,
      'Flags',
      `${upper} in MiB that goes past the end`,
      (end) => ({ op, flags: FLAG.WIDE, lba: end - WIDE_UNIT_SECTORS + BLOCK, count: 1 }),
      'PAST_END',
    ),
    ask(`${name}.wide.largest`, 'Flags', `${upper} of 65,535 MiB at the last lba`, () => wideLargest(op), 'PAST_END'),
  ]),
];

function wideLargest(op: number): RawRequest {
  return { op, flags: FLAG.WIDE, lba: LAST_LBA, count: COUNT_MAX };
}

const FLAG_CASES: readonly ServerCase[] = [
  ask('read.flags.fua', 'Flags', 'READ with FUA', () => ({ op: OP.READ, flags: FLAG.FUA, count: BLOCK }), 'BAD_REQUEST'),
  ask('read.flags.more', 'Flags', 'READ with MORE', () => ({ op: OP.READ, flags: FLAG.MORE, count: BLOCK }), 'BAD_REQUEST'),
  ask('read.flags.unknown', 'Flags', 'READ with flag 0x80', () => ({ op: OP.READ, flags: 0x80, count: BLOCK }), 'BAD_REQUEST'),
  ask('write.flags.fua', 'Flags', 'WRITE with FUA', () => ({ op: OP.WRITE, flags: FLAG.FUA, lba: SCRATCH, count: BLOCK }), 'OK'),
  ask('write.flags.wide', 'Flags', 'WRITE with WIDE', () => ({ op: OP.WRITE, flags: FLAG.WIDE, count: BLOCK }), 'BAD_REQUEST'),
  ask('write.flags.no-hole', 'Flags', 'WRITE with NO_HOLE', () => ({ op: OP.WRITE, flags: FLAG.NO_HOLE, count: BLOCK }), 'BAD_REQUEST'),
  ask('write.flags.unknown', 'Flags', 'WRITE with flag 0x40', () => ({ op: OP.WRITE, flags: 0x40, count: BLOCK }), 'BAD_REQUEST'),
  ask('flush.flags.fua', 'Flags', 'FLUSH with FUA', () => ({ op: OP.FLUSH, flags: FLAG.FUA }), 'BAD_REQUEST'),
  ask('discard.flags.fua', 'Flags', 'DISCARD with FUA', () => ({ op: OP.DISCARD, flags: FLAG.FUA, lba: SCRATCH, count: BLOCK }), 'OK'),
  ask(
    'discard.flags.no-hole',
    'Flags',
    'DISCARD with NO_HOLE',
    () => ({ op: OP.DISCARD, flags: FLAG.NO_HOLE, count: BLOCK }),
    'BAD_REQUEST',
  ),
  ask('zero.flags.fua', 'Flags', 'ZERO with FUA', () => ({ op: OP.ZERO, flags: FLAG.FUA, lba: SCRATCH, count: BLOCK }), 'OK'),
  ask('zero.flags.no-hole', 'Flags', 'ZERO with NO_HOLE', () => ({ op: OP.ZERO, flags: FLAG.NO_HOLE, lba: SCRATCH, count: BLOCK }), 'OK'),
  ask('zero.flags.unknown', 'Flags', 'ZERO with flag 0x10', () => ({ op: OP.ZERO, flags: 0x10, count: BLOCK }), 'BAD_REQUEST'),
];

const blocks: Opened = async ({ options }, path) => (await path.open(options.volumes.blocks ?? '')).handle;

function misaligned(id: string, expects: string, request: RawRequest): ServerCase {
  return ask(`align.${id}`, I_O, `On a volume of 4096-byte blocks ${expects}`, () => request, 'MISALIGNED', blocks, ['4096-byte volume']);
}

const ALIGN_CASES: readonly ServerCase[] = [
  misaligned('read-begin', 'READ from within a block', { op: OP.READ, lba: 1, count: BLOCK }),
  misaligned('read-end', 'READ up to within a block', { op: OP.READ, count: 7 }),
  misaligned('write-begin', 'WRITE from within a block', { op: OP.WRITE, lba: 4, count: BLOCK }),
  misaligned('write-end', 'WRITE of one sector', { op: OP.WRITE, count: 1 }),
  misaligned('zero', 'ZERO from within a block', { op: OP.ZERO, lba: 4, count: BLOCK }),
  misaligned('discard-wide', 'DISCARD in MiB from within a block', { op: OP.DISCARD, flags: FLAG.WIDE, lba: 4, count: 1 }),
  ask(
    'align.whole',
    I_O,
    'On a volume of 4096-byte blocks READ of one block',
    () => ({ op: OP.READ, lba: BLOCK, count: BLOCK }),
    'OK',
    blocks,
    ['4096-byte volume'],
  ),
];

const openedReadOnly: Opened = async ({ options }, path) => {
  const { handle, readonly } = await path.open(options.volumes.plain, true);
  holds(readonly, 'The OPEN for reading was answered with readonly false');
  return handle;
};
const servedReadOnly: Opened = async ({ options }, path) => {
  const { handle, readonly } = await path.open(options.volumes.constant ?? '');
  holds(readonly, 'The OPEN of a volume that is only read was answered with readonly false');
  return handle;
};

const RIGHTS_CASES: readonly ServerCase[] = [
  { id: 'asked', what: 'opened for reading', open: openedReadOnly, needs: [] },
  { id: 'served', what: 'that the server offers for reading only', open: servedReadOnly, needs: ['read-only volume'] as const },
].flatMap(({ id, what, open, needs }) => [
  ...OP_NAMES.map(({ name, op, upper }) =>
    ask(
      `rights.${id}.${name}`,
      I_O,
      `${upper} on a volume ${what}`,
      () => ({ op, count: BLOCK }),
      op === OP.READ ? 'OK' : 'READ_ONLY',
      open,
      needs,
    ),
  ),
  ask(`rights.${id}.flush`, I_O, `FLUSH on a volume ${what}`, () => ({ op: OP.FLUSH }), 'OK', open, needs),
]);

const never: Opened = async () => 0xfff0;
const zero: Opened = async () => 0;
const shut: Opened = async (target, path) => {
  const { handle } = await path.open(target.options.volumes.plain, true);
  await answered(path, { op: OP.CLOSE, handle });
  return handle;
};

const HANDLE_CASES: readonly ServerCase[] = [
  { id: 'unknown', what: 'a handle that was never given', open: never },
  { id: 'zero', what: 'handle 0', open: zero },
  { id: 'closed', what: 'a handle that was closed', open: shut },
].flatMap(({ id, what, open }) => [
  ...OP_NAMES.map(({ name, op, upper }) =>
    ask(`handles.${id}.${name}`, I_O, `${upper} of ${what}`, () => ({ op, count: BLOCK }), 'STALE', open),
  ),
  ask(`handles.${id}.flush`, I_O, `FLUSH of ${what}`, () => ({ op: OP.FLUSH }), 'STALE', open),
]);

const ORDER_CASES: readonly ServerCase[] = [
  ask('order.handle-first', I_O, 'A wrong handle is checked before a wrong flag', () => ({ op: OP.READ, flags: 0x80 }), 'STALE', never),
  ask('order.flags-before-rights', I_O, 'A wrong flag is checked before the permission', () => wrongFlag(), 'BAD_REQUEST', openedReadOnly),
  ask(
    'order.count-before-rights',
    I_O,
    'A wrong count is checked before the permission',
    () => ({ op: OP.ZERO }),
    'BAD_REQUEST',
    openedReadOnly,
  ),
  ask(
    'order.rights-before-size',
    I_O,
    'The permission is checked before the size',
    () => ({ op: OP.ZERO, lba: LAST_LBA, count: BLOCK }),
    'READ_ONLY',
    openedReadOnly,
  ),
  ask(
    'order.blocks-before-size',
    I_O,
    'Whole blocks are checked before the size',
    () => ({ op: OP.READ, lba: LBA_MAX, count: 1 }),
    'MISALIGNED',
    blocks,
    ['4096-byte volume'],
  ),
];

function wrongFlag(): RawRequest {
  return { op: OP.ZERO, flags: 0x40, count: BLOCK };
}

export const IO_CASES: readonly ServerCase[] = [
  ...COUNT_CASES,
  ...END_CASES,
  ...FLAG_CASES,
  ...ALIGN_CASES,
  ...RIGHTS_CASES,
  ...HANDLE_CASES,
  ...ORDER_CASES,
  serverCase(
    'handles.foreign',
    'OPEN answer',
    "Another session's handle is STALE, and the data stays",
    async (target) => {
      const handle = await target.handle();
      const other = await target.login(1);
      await answered(other, { op: OP.READ, handle, count: BLOCK }, 'STALE');
      await answered(other, { op: OP.WRITE, handle, count: BLOCK, body: Buffer.alloc(BLOCK * SECTOR_BYTES, 3) }, 'STALE');
    },
    { needs: ['second node'] },
  ),
];
