// Cases about which node may have the volume: holders, readers, shared volumes (H1, H2), and the effect of the end of a session. Invariant:
// at the end of each case, the second node holds nothing.

import { FLAG, OP } from '@rsio/protocol/wire/frames';
import { FailureAnswer, Farewell, OpenRequest } from '@rsio/protocol/wire/messages';
import type { RawClient } from '../../support/peers/raw-peer.ts';
import { type ServerCase, serverCase } from '../base/case.ts';
import { answered, equals, failed, holds } from '../base/check.ts';
import { BLOCK, filled, SCRATCH, type Target } from '../base/target.ts';

const TWO = { needs: ['second node'] } as const;

function open(target: Target, readonly: boolean): { readonly op: number; readonly body: Buffer } {
  return { op: OP.OPEN, body: OpenRequest.encode({ name: target.options.volumes.plain, universe: 0, readonly }) };
}

async function opens(target: Target, path: RawClient, readonly: boolean): Promise<number> {
  return (await path.open(target.options.volumes.plain, readonly)).handle;
}

async function closes(path: RawClient, handle: number): Promise<void> {
  await answered(path, { op: OP.CLOSE, handle });
}

export const HOLDER_CASES: readonly ServerCase[] = [
  serverCase(
    'holders.held',
    'Holders and epochs',
    "OPEN of a volume that another node writes to is HELD, with the holder's name and address",
    async (target) => {
      await target.handle();
      const other = await target.login(1);
      for (const readonly of [false, true]) {
        const { body } = await answered(other, open(target, readonly), 'HELD');
        const { sentence, holders } = FailureAnswer.decode(body, 0, body.length);
        const name = target.options.nodes[0]?.node ?? '';
        equals(
          'The holders',
          holders.map(({ node }) => node),
          [name],
        );
        holds(sentence.includes(name) && (holders[0]?.address ?? '') !== '', `The refusal does not name ${name}: ${sentence}`);
      }
    },
    TWO,
  ),
  serverCase(
    'holders.close',
    'H1',
    'CLOSE of the last handle ends the hold, and CLOSE of an earlier one does not',
    async (target) => {
      const handle = await target.handle();
      const path = await target.path();
      const second = await opens(target, path, false);
      await closes(path, second);
      const other = await target.login(1);
      await failed(other, open(target, false), 'HELD');
      await answered(path, { op: OP.FLUSH, handle });
      await target.release();
      const theirs = await opens(target, other, false);
      await failed(path, open(target, false), 'HELD');
      await closes(other, theirs);
    },
    TWO,
  ),
  serverCase(
    'holders.readers',
    'Holders and epochs',
    'Readers of two nodes may have the volume together, and no writer beside them',
    async (target) => {
      await target.release();
      const [path, other] = [await target.path(), await target.login(1)];
      const [mine, theirs] = [await opens(target, path, true), await opens(target, other, true)];
      await answered(other, { op: OP.READ, handle: theirs, count: BLOCK });
      await failed(path, open(target, false), 'HELD');
      await closes(other, theirs);
      await closes(path, mine);
    },
    TWO,
  ),
  serverCase(
    'holders.session-end',
    'H1',
    'A hold does not end with its session: after BYE the volume is still HELD',
    async (target) => {
      await target.release();
      const path = await target.path();
      const other = await target.login(1);
      await opens(target, other, false);
      other.request({ op: OP.BYE, body: Farewell.encode({ code: 'E_SHUTTING_DOWN', sentence: 'Good night' }) });
      await other.ended();
      await failed(path, open(target, true), 'HELD');
      const again = await target.login(1);
      await closes(again, await opens(target, again, false));
    },
    TWO,
  ),
  serverCase(
    'holders.new-instance',
    'H2',
    'A newer instance of the node takes its hold over, and a writer gets another identity',
    async (target) => {
      await target.release();
      const old = await target.login(1);
      const before = await old.open(target.options.volumes.plain);
      target.newInstance(1);
      const now = await target.login(1);
      const after = await now.open(target.options.volumes.plain);
      holds(after.identity !== before.identity, `The identity is ${after.identity} still`);
      await closes(now, after.handle);
    },
    TWO,
  ),
  serverCase(
    'holders.new-epoch',
    'Holders and epochs',
    'A client that writes after another node had the volume gets another identity',
    async (target) => {
      const before = (await target.plain()).identity;
      await target.release();
      const other = await target.login(1);
      const theirs = await other.open(target.options.volumes.plain);
      await closes(other, theirs.handle);
      const after = (await target.plain()).identity;
      holds(before !== theirs.identity && theirs.identity !== after && before !== after, 'Two of three holds have the same identity');
    },
    TWO,
  ),
  serverCase(
    'holders.shared',
    'Verifier',
    "A shared volume may have two writers, and each sees the other's writes; a hold that has ended is not resumed",
    async (target) => {
      const name = target.options.volumes.shared ?? '';
      const [path, other] = [await target.path(), await target.login(1)];
      const [mine, theirs] = [await path.open(name), await other.open(name)];
      equals('shared', [mine.shared, theirs.shared], [true, true]);
      holds(mine.identity !== theirs.identity, 'Two holds have the same identity');
      await answered(path, { op: OP.WRITE, handle: mine.handle, lba: SCRATCH, count: BLOCK, body: filled(BLOCK, 6) });
      const { body } = await answered(other, { op: OP.READ, handle: theirs.handle, lba: SCRATCH, count: BLOCK });
      equals('What the other reads', body[0], 6);
      await answered(other, { op: OP.ZERO, flags: FLAG.FUA, handle: theirs.handle, lba: SCRATCH, count: BLOCK });
      await closes(path, mine.handle);
      const back = { op: OP.OPEN, body: OpenRequest.encode({ name, universe: 0, readonly: false, resume: mine.identity }) };
      await answered(path, back, 'TAKEN');
      await closes(other, theirs.handle);
    },
    { needs: ['second node', 'shared volume'] },
  ),
];
