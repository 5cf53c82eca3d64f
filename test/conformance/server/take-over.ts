// Take-overs as clients see them: the effect on the handle and the requests of the losing client, the question which client may resume a
// hold (H2, Verifier), and replaced instances (H4). holders.ts has the cases without take-overs. Invariant: at the end of each case, the
// second node holds nothing.

import { SESSION_SILENT_MS } from '@rsio/rssrv/volumes/limits';
import { OP } from '@rsio/protocol/wire/frames';
import { Farewell, IOCTL, ListAnswer, OpenAnswer, OpenRequest, TAKE } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { RawClient } from '../../support/peers/raw-peer.ts';
import { waitFor } from '../../support/programs/wait-for.ts';
import { type ServerCase, serverCase } from '../base/case.ts';
import { answered, equals, failed, holds, refusedWith, statusName } from '../base/check.ts';
import { BLOCK, filled, SCRATCH, type Target } from '../base/target.ts';

const TWO = { needs: ['second node'] } as const;

/** Makes an OPEN of the volume with these changes. */
function asking(target: Target, changes: Partial<OpenRequest>): { readonly op: number; readonly body: Buffer } {
  return { op: OP.OPEN, body: OpenRequest.encode({ name: target.options.volumes.plain, universe: 0, readonly: false, ...changes }) };
}

async function gets(target: Target, path: RawClient, changes: Partial<OpenRequest>): Promise<OpenAnswer> {
  const { body } = await answered(path, asking(target, changes));
  return OpenAnswer.decode(body, 0, body.length);
}

/** Expects that every request on the handle is answered STALE. */
async function isRevoked(path: RawClient, handle: number): Promise<void> {
  for (const op of [OP.READ, OP.WRITE, OP.DISCARD, OP.ZERO]) {
    const body = op === OP.WRITE ? filled(BLOCK, 0xee) : undefined;
    await answered(path, { op, handle, lba: SCRATCH, count: BLOCK, ...(body === undefined ? {} : { body }) }, 'STALE');
  }
  await answered(path, { op: OP.FLUSH, handle }, 'STALE');
  await failed(path, { op: OP.IOCTL, handle, aux: IOCTL.IDENTIFY }, 'STALE');
  await failed(path, { op: OP.CLOSE, handle }, 'STALE');
}

async function readsByte(path: RawClient, handle: number, lba: number): Promise<number | undefined> {
  const { body } = await answered(path, { op: OP.READ, handle, lba, count: BLOCK });
  return body[0];
}

async function closes(path: RawClient, handle: number): Promise<void> {
  await answered(path, { op: OP.CLOSE, handle });
}

export const TAKE_OVER_CASES: readonly ServerCase[] = [
  serverCase(
    'holders.take-over.loses',
    'H2',
    'A take-over ends the hold of the other node: requests on its handle are STALE, and its answered writes are kept',
    async (target) => {
      await target.release();
      const [path, other] = [await target.path(), await target.login(1)];
      const mine = await gets(target, path, {});
      await answered(path, { op: OP.WRITE, handle: mine.handle, lba: SCRATCH, count: BLOCK, body: filled(BLOCK, 0x51) });
      const theirs = await gets(target, other, { take: TAKE.OVER });
      holds(theirs.identity !== mine.identity, 'Both holds have one identity');
      await isRevoked(path, mine.handle);
      equals('What is there', await readsByte(other, theirs.handle, SCRATCH), 0x51);
      await closes(other, theirs.handle);
    },
    TWO,
  ),
  serverCase(
    'holders.take-over.copies',
    'H2',
    'A copy of a READ that completed before the take-over is answered STALE, and not read again',
    async (target) => {
      await target.release();
      const [path, again, other] = [await target.path(), await target.path(), await target.login(1)];
      const { handle } = await gets(target, path, {});
      const read = { op: OP.READ, slot: target.slot(), seq: 1, handle, lba: SCRATCH, count: BLOCK };
      path.request(read);
      equals('The first answer', statusName(await path.answer(read.slot)), 'OK');
      const theirs = await gets(target, other, { take: TAKE.OVER });
      again.request(read);
      equals('The answer to the copy', statusName(await again.answer(read.slot)), 'STALE');
      await closes(other, theirs.handle);
    },
    TWO,
  ),
  serverCase(
    'holders.take-over.under-way',
    'H2',
    'A WRITE during a take-over executes and is answered OK, or is STALE and does not execute',
    async (target) => {
      await target.release();
      const [path, other] = [await target.path(), await target.login(1)];
      const mine = await gets(target, path, {});
      const slots = Array.from({ length: 16 }, () => target.slot());
      const at = (index: number): number => SCRATCH + index * BLOCK;
      for (const [index] of slots.entries()) await answered(path, { op: OP.ZERO, handle: mine.handle, lba: at(index), count: BLOCK });
      const taking = gets(target, other, { take: TAKE.OVER });
      for (const [index, slot] of slots.entries()) {
        path.request({ op: OP.WRITE, slot, seq: 1, handle: mine.handle, lba: at(index), count: BLOCK, body: filled(BLOCK, 0x77) });
        await new Promise((resolve) => setImmediate(resolve));
      }
      const theirs = await taking;
      for (const [index, slot] of slots.entries()) {
        const status = statusName(await path.answer(slot));
        holds(status === 'OK' || status === 'STALE', `A WRITE was answered ${status}`);
        equals(`What is there after ${status}`, await readsByte(other, theirs.handle, at(index)), status === 'OK' ? 0x77 : 0);
      }
      await closes(other, theirs.handle);
    },
    TWO,
  ),
  serverCase(
    'holders.take-over.resume',
    'H2',
    "A resume of a hold that was taken is answered TAKEN with the taker, even after the taker's CLOSE; a new OPEN gets a new hold",
    async (target) => {
      await target.release();
      const [path, other] = [await target.path(), await target.login(1)];
      const { identity } = await gets(target, path, {});
      const theirs = await gets(target, other, { take: TAKE.OVER });
      const taker = target.options.nodes[1]?.node ?? '';
      for (const isClosed of [false, true]) {
        for (const take of [TAKE.NO, TAKE.FORCE]) {
          const sentence = await failed(path, asking(target, { resume: identity, take }), 'TAKEN');
          holds(sentence.includes(taker), `The refusal does not name ${taker}: ${sentence}`);
        }
        if (!isClosed) await closes(other, theirs.handle);
      }
      const again = await gets(target, path, {});
      holds(again.identity !== identity, 'The new hold has the identity of the lost one');
      await closes(path, again.handle);
    },
    TWO,
  ),
  serverCase(
    'holders.take-over.list',
    'LIST answer',
    'A take-over changes the generation of the list, which names the new holder, and NOTIFY tells the loser',
    async (target) => {
      await target.release();
      const [path, other] = [await target.path(), await target.login(1)];
      await gets(target, path, {});
      const list = async (): Promise<{ generation: number; holder: string | undefined }> => {
        const { body } = await answered(path, { op: OP.LIST });
        const { generation, volumes } = ListAnswer.decode(body, 0, body.length);
        const volume = volumes.find(({ name }) => name === target.options.volumes.plain);
        return { generation, holder: volume?.holders[0]?.node };
      };
      const before = await list();
      const theirs = await gets(target, other, { take: TAKE.OVER });
      const { aux } = await path.next((frame) => frame.op === OP.NOTIFY && frame.aux > before.generation);
      const after = await list();
      holds(after.generation >= aux, `NOTIFY said ${aux}, the list is ${after.generation}`);
      equals('The holder', after.holder, target.options.nodes[1]?.node);
      await closes(other, theirs.handle);
    },
    TWO,
  ),
  serverCase(
    'holders.take-over.readers',
    'H2',
    'A writer takes the volume from all readers, and a reader from the writer',
    async (target) => {
      await target.release();
      const [path, other] = [await target.path(), await target.login(1)];
      const [mine, theirs] = [await gets(target, path, { readonly: true }), await gets(target, other, { readonly: true })];
      const writer = await gets(target, path, { take: TAKE.OVER });
      await answered(other, { op: OP.READ, handle: theirs.handle, count: BLOCK }, 'STALE');
      await answered(path, { op: OP.READ, handle: mine.handle, count: BLOCK });
      await failed(other, asking(target, { readonly: true, resume: theirs.identity }), 'TAKEN');
      const reader = await gets(target, other, { readonly: true, take: TAKE.OVER });
      await isRevoked(path, writer.handle);
      await closes(other, reader.handle);
    },
    TWO,
  ),
  serverCase(
    'holders.take-over.both',
    'H2',
    'Two take-overs at once run one after the other: in the end exactly one of the handles is STALE',
    async (target) => {
      await target.release();
      const [path, other] = [await target.path(), await target.login(1)];
      const took = await Promise.all([path, other].map((client) => client.call(asking(target, { take: TAKE.OVER }))));
      const statuses: string[] = [];
      for (const [index, client] of [path, other].entries()) {
        const { handle, body } = took[index]!;
        // The first client may have lost the volume during its OPEN, or right after this OPEN.
        if (handle === STATUS.STALE) statuses.push('STALE');
        else {
          const open = OpenAnswer.decode(body, 0, body.length);
          const read = await client.call({ op: OP.READ, handle: open.handle, lba: SCRATCH, count: BLOCK });
          statuses.push(statusName(read));
          if (read.handle === STATUS.OK) await closes(client, open.handle);
        }
      }
      equals('The statuses', statuses.toSorted(), ['OK', 'STALE']);
    },
    TWO,
  ),
  serverCase(
    'holders.take-over.plain',
    'H2',
    "A take-over of a free volume, or of the client's own, is a plain OPEN",
    async (target) => {
      await target.release();
      const other = await target.login(1);
      const first = await gets(target, other, { take: TAKE.OVER });
      const second = await gets(target, other, { take: TAKE.FORCE });
      equals('The identity of the second', second.identity, first.identity);
      await answered(other, { op: OP.READ, handle: first.handle, count: BLOCK });
      await closes(other, first.handle);
      await closes(other, second.handle);
    },
    TWO,
  ),
  serverCase(
    'holders.take-over.shared',
    'H2',
    'A take-over takes a shared volume from no client',
    async (target) => {
      const name = target.options.volumes.shared ?? '';
      const [path, other] = [await target.path(), await target.login(1)];
      const mine = await path.open(name);
      const theirs = await gets(target, other, { name, take: TAKE.FORCE });
      await answered(path, { op: OP.READ, handle: mine.handle, count: BLOCK });
      await closes(path, mine.handle);
      await closes(other, theirs.handle);
    },
    { needs: ['second node', 'shared volume'] },
  ),
  serverCase(
    'holders.resume.own',
    'Verifier',
    'A client that resumes its own hold in a new session gets the same identity, and may send SETTLED more than once',
    async (target) => {
      await target.release();
      const before = await target.login(1);
      const { identity } = await gets(target, before, {});
      before.request({ op: OP.BYE, body: Farewell.encode({ code: 'E_SHUTTING_DOWN', sentence: 'Good night' }) });
      await before.ended();
      const now = await target.login(1);
      const { identity: resumed, handle } = await gets(target, now, { resume: identity });
      equals('The identity', resumed, identity);
      for (const _ of [1, 2]) {
        const { aux, body } = await answered(now, { op: OP.IOCTL, handle, aux: IOCTL.SETTLED });
        equals('aux, and length', [aux, body.length], [IOCTL.SETTLED, 0]);
      }
      await closes(now, handle);
      await failed(now, { op: OP.IOCTL, handle, aux: IOCTL.SETTLED }, 'STALE');
    },
    TWO,
  ),
  serverCase(
    'holders.resume.foreign',
    'Verifier',
    'A resume of a hold that the client never had is answered TAKEN and gives no hold, whether or not the volume is held',
    async (target) => {
      const { identity } = await target.plain();
      const other = await target.login(1);
      await failed(other, asking(target, { resume: identity }), 'TAKEN');
      await answered(await target.path(), { op: OP.FLUSH, handle: await target.handle() });
      await target.release();
      await failed(other, asking(target, { resume: 'no-such-hold' }), 'TAKEN');
      await target.handle();
    },
    TWO,
  ),
  serverCase(
    'holders.replaced',
    'H4',
    'An instance that was silent while one from another machine was admitted is permanently refused, and resumes nothing',
    async (target) => {
      const identity = target.identity(1);
      const old = await RawClient.begin(target.place(), identity);
      old.reset();
      const elsewhere = { ...identity, hello: { ...identity.hello, machine: 'another-machine' } };
      const begin = (): Promise<RawClient | null> => RawClient.login(target.place(), elsewhere).catch(() => null);
      const now = target.keep(await waitFor(begin, 3 * SESSION_SILENT_MS, 'The other machine is let in'));
      await refusedWith('E_REPLACED', RawClient.login(target.place(), identity));
      now.request({ op: OP.BYE, body: Farewell.encode({ code: 'E_SHUTTING_DOWN', sentence: 'Good night' }) });
      await now.ended();
      await refusedWith('E_REPLACED', RawClient.login(target.place(), identity));
      target.newInstance(1);
    },
    TWO,
  ),
];
