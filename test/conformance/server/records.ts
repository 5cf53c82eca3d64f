// Gate records: RECORD_READ and RECORD_WRITE on a volume of a pool, and what other volumes answer (D2). Invariant: at the end of each case,
// nobody holds the volume of the pool.

import { OP } from '@rsio/protocol/wire/frames';
import { GATE_RECORD_MAX_BYTES } from '@rsio/protocol/wire/limits';
import { IOCTL, OpenAnswer, OpenRequest, RecordAnswer, RecordReadRequest, RecordWriteRequest, TAKE } from '@rsio/protocol/wire/messages';
import type { RawClient, RawRequest } from '../../support/peers/raw-peer.ts';
import { type ServerCase, serverCase } from '../base/case.ts';
import { answered, equals, failed, holds, sameBytes, statusName } from '../base/check.ts';
import { hex, type Packable, pack } from '../base/pack.ts';
import type { Target } from '../base/target.ts';

const POOL = { needs: ['replica volume'] } as const;
const TWO = { needs: ['replica volume', 'second node'] } as const;

function writing(handle: number, record: Buffer): RawRequest {
  return { op: OP.IOCTL, handle, aux: IOCTL.RECORD_WRITE, body: RecordWriteRequest.encode({ record }) };
}

function reading(id: string): RawRequest {
  return { op: OP.IOCTL, aux: IOCTL.RECORD_READ, body: RecordReadRequest.encode({ id }) };
}

async function reads(path: RawClient, id: string): Promise<Buffer | null> {
  const { aux, body } = await answered(path, reading(id));
  equals('aux', aux, IOCTL.RECORD_READ);
  return RecordAnswer.decode(body, 0, body.length).record;
}

async function writes(path: RawClient, handle: number, record: Buffer): Promise<void> {
  const { aux, body } = await answered(path, writing(handle, record));
  equals('aux, and length', [aux, body.length], [IOCTL.RECORD_WRITE, 0]);
}

async function opens({ options }: Target, path: RawClient, changes: Partial<OpenRequest> = {}): Promise<OpenAnswer> {
  const name = options.volumes.replica ?? '';
  const { body } = await answered(path, { op: OP.OPEN, body: OpenRequest.encode({ name, universe: 0, readonly: false, ...changes }) });
  return OpenAnswer.decode(body, 0, body.length);
}

async function closes(path: RawClient, { handle }: OpenAnswer): Promise<void> {
  await answered(path, { op: OP.CLOSE, handle });
}

const MALFORMED: readonly (readonly [id: string, what: string, body: Buffer])[] = [
  ['no-body', 'without a body', Buffer.alloc(0)],
  ['garbage', 'with a body that is no map', hex('c1')],
  ['no-record', 'without a record', pack({})],
  ['text', 'with a text as its record', pack({ record: 'abc' })],
  ['nil', 'with nil as its record', pack({ record: null })],
  ['too-long', 'with one byte more than GATE_RECORD_MAX_BYTES', pack({ record: Buffer.alloc(GATE_RECORD_MAX_BYTES + 1) as Packable })],
];

export const RECORD_CASES: readonly ServerCase[] = [
  serverCase(
    'record.written',
    'D2',
    'A record is read as it was written, over a handle or none, and outlives the hold; its bounds are 0 and GATE_RECORD_MAX_BYTES',
    async (target) => {
      const path = await target.path();
      const open = await opens(target, path);
      for (const record of [Buffer.from('first'), Buffer.alloc(0), Buffer.alloc(GATE_RECORD_MAX_BYTES, 0xc1), Buffer.from([0, 10, 255])]) {
        await writes(path, open.handle, record);
        sameBytes('The record', (await reads(path, open.id)) ?? Buffer.from('none'), record);
      }
      const { body } = await answered(path, { ...reading(open.id), handle: open.handle });
      sameBytes('The record over a handle', RecordAnswer.decode(body, 0, body.length).record ?? Buffer.alloc(0), Buffer.from([0, 10, 255]));
      await closes(path, open);
      sameBytes('The record without a hold', (await reads(path, open.id)) ?? Buffer.alloc(0), Buffer.from([0, 10, 255]));
      await failed(path, writing(open.handle, Buffer.from('late')), 'STALE');
    },
    POOL,
  ),
  serverCase(
    'record.take-over',
    'D2',
    'After a take-over, the former holder gets STALE and writes nothing, and the new one reads the last record that was answered',
    async (target) => {
      const [path, other] = [await target.path(), await target.login(1)];
      const mine = await opens(target, path);
      await writes(path, mine.handle, Buffer.from('mine'));
      sameBytes('What another client reads', (await reads(other, mine.id)) ?? Buffer.alloc(0), Buffer.from('mine'));
      const slots = Array.from({ length: 8 }, () => target.slot());
      const taking = opens(target, other, { take: TAKE.OVER });
      for (const [index, slot] of slots.entries()) {
        path.request({ ...writing(mine.handle, Buffer.from([index])), slot, seq: 1 });
        await new Promise((resolve) => setImmediate(resolve));
      }
      const theirs = await taking;
      const found = await reads(other, mine.id);
      let last = Buffer.from('mine');
      for (const [index, slot] of slots.entries()) {
        const status = statusName(await path.answer(slot));
        holds(status === 'OK' || status === 'STALE', `RECORD_WRITE was answered ${status}`);
        if (status === 'OK') last = Buffer.from([index]);
      }
      sameBytes('The record at the take-over', found ?? Buffer.alloc(0), last);
      await failed(path, writing(mine.handle, Buffer.from('late')), 'STALE');
      await writes(other, theirs.handle, Buffer.from('theirs'));
      sameBytes('The record of the new holder', (await reads(path, mine.id)) ?? Buffer.alloc(0), Buffer.from('theirs'));
      await closes(other, theirs);
    },
    TWO,
  ),
  serverCase(
    'record.copy',
    'S1',
    'A copy of a completed RECORD_WRITE is answered from the slot, and does not revert a later one',
    async (target) => {
      const [path, again] = [await target.path(), await target.path()];
      const open = await opens(target, path);
      const first = { ...writing(open.handle, Buffer.from('first')), slot: target.slot(), seq: 1 };
      path.request(first);
      equals('The first answer', statusName(await path.answer(first.slot)), 'OK');
      await writes(path, open.handle, Buffer.from('second'));
      again.request(first);
      const copy = await again.answer(first.slot);
      equals('Status and aux of the copy', [statusName(copy), copy.aux], ['OK', IOCTL.RECORD_WRITE]);
      sameBytes('The record', (await reads(path, open.id)) ?? Buffer.alloc(0), Buffer.from('second'));
      await closes(path, open);
    },
    POOL,
  ),
  serverCase(
    'record.read-only',
    'D2',
    'RECORD_WRITE on a read-only handle is READ_ONLY',
    async (target) => {
      const path = await target.path();
      const open = await opens(target, path, { readonly: true });
      await failed(path, writing(open.handle, Buffer.from('x')), 'READ_ONLY');
      await closes(path, open);
    },
    POOL,
  ),
  ...MALFORMED.map(([id, what, body]) =>
    serverCase(
      `record.write.${id}`,
      'RECORD_WRITE',
      `RECORD_WRITE ${what}: BAD_REQUEST, and the record stays`,
      async (target) => {
        const path = await target.path();
        const open = await opens(target, path);
        const before = await reads(path, open.id);
        await failed(path, { op: OP.IOCTL, handle: open.handle, aux: IOCTL.RECORD_WRITE, body }, 'BAD_REQUEST');
        equals('The record', await reads(path, open.id), before);
        await closes(path, open);
      },
      POOL,
    ),
  ),
  ...(
    [
      ['no-body', 'without a body', Buffer.alloc(0)],
      ['no-id', 'without an id', pack({})],
      ['empty-id', 'with an empty id', pack({ id: '' })],
      ['nil-id', 'with nil as its id', pack({ id: null })],
    ] as const
  ).map(([id, what, body]) =>
    serverCase(`record.read.${id}`, 'RECORD_READ', `RECORD_READ ${what}: BAD_REQUEST`, async (target) => {
      await failed(await target.path(), { op: OP.IOCTL, aux: IOCTL.RECORD_READ, body }, 'BAD_REQUEST');
    }),
  ),
  serverCase('record.read.unknown', 'D2', 'RECORD_READ of a volume that does not exist is UNKNOWN_VOLUME', async (target) => {
    await failed(await target.path(), reading('no-such-volume'), 'UNKNOWN_VOLUME');
  }),
  serverCase('record.write.unknown-handle', 'D2', 'RECORD_WRITE on a handle that was never granted is STALE', async (target) => {
    await failed(await target.path(), writing(0xfff0, Buffer.from('x')), 'STALE');
  }),
  serverCase('record.flags', 'Flags', 'RECORD_READ with a flag is BAD_REQUEST', async (target) => {
    await failed(await target.path(), { ...reading('id'), flags: 1 }, 'BAD_REQUEST');
  }),
  serverCase(
    'record.shared',
    'D2',
    'A shared volume has no gate record: UNSUPPORTED',
    async (target) => {
      const path = await target.path();
      const open = await path.open(target.options.volumes.shared ?? '');
      await failed(path, writing(open.handle, Buffer.from('x')), 'UNSUPPORTED');
      await failed(path, reading(open.id), 'UNSUPPORTED');
      await closes(path, open);
    },
    { needs: ['shared volume'] },
  ),
];
