// Replicas of mirrors: PLACE and UNPLACE, OPENs under terms, claims that end handles, and TERM (Q6 to Q9). Each case founds its own mirror,
// makes the volume a replica of the mirror, and makes it a plain volume again at the end. votes.ts has the cases without a replica.

import { createHash } from 'node:crypto';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { OP } from '@rsio/protocol/wire/frames';
import { MIRROR_REGION_BYTES, MIRROR_SUM_BYTES } from '@rsio/protocol/wire/limits';
import { IOCTL, ListAnswer, OpenAnswer, OpenRequest, TAKE } from '@rsio/protocol/wire/messages';
import {
  MirrorClearRequest,
  MirrorMapAnswer,
  MirrorMapRequest,
  MirrorSumsAnswer,
  MirrorSumsRequest,
  type VoteAnswer,
  VOTED,
  type VoteReplica,
} from '@rsio/protocol/wire/mirror-messages';
import type { RawClient, RawRequest } from '../../../support/peers/raw-peer.ts';
import { type Need, type ServerCase, serverCase } from '../../base/case.ts';
import { answered, equals, failed, holds, type StatusName } from '../../base/check.ts';
import { BLOCK, filled, SCRATCH, type Target } from '../../base/target.ts';
import { agreed, config, Mirror, mirrorCase, newId, second } from './raw-mirror.ts';

/** The volume as a replica of a mirror whose term 1 the first node has claimed. */
class Replica {
  readonly mirror: Mirror;
  readonly target: Target;
  readonly name: string;

  constructor(mirror: Mirror, target: Target) {
    this.mirror = mirror;
    this.target = target;
    this.name = target.options.volumes.replica ?? '';
  }

  async place(number = 1): Promise<VoteReplica> {
    return told(await this.mirror.place(number, this.name));
  }

  /**
   * Makes an OPEN of the volume. `number`: number of the term under which the OPEN opens the volume. Null: the OPEN treats the volume as
   * plain.
   */
  opening(number: number | null, changes: Partial<OpenRequest> = {}): RawRequest {
    const mirror = number === null ? null : { mirror: this.mirror.id, number };
    return { op: OP.OPEN, body: OpenRequest.encode({ name: this.name, universe: 0, readonly: false, mirror, ...changes }) };
  }

  async opens(number: number | null, path: RawClient = this.mirror.path, changes: Partial<OpenRequest> = {}): Promise<OpenAnswer> {
    const { body } = await answered(path, this.opening(number, changes));
    return OpenAnswer.decode(body, 0, body.length);
  }

  refuses(
    number: number | null,
    status: StatusName,
    path: RawClient = this.mirror.path,
    changes: Partial<OpenRequest> = {},
  ): Promise<string> {
    return failed(path, this.opening(number, changes), status);
  }
}

function told(answer: VoteAnswer): VoteReplica {
  equals('Outcome and sentence', [answer.voted, answer.sentence], [VOTED.DONE, '']);
  const { replica } = answer;
  holds(replica !== null, 'The answer names no replica');
  return replica;
}

/** Expects this status as the answer to TERM on the handle. */
async function termIs(path: RawClient, handle: number, status: StatusName): Promise<void> {
  const request = { op: OP.IOCTL, handle, aux: IOCTL.TERM };
  if (status === 'OK') equals('The body of TERM', (await answered(path, request)).body.length, 0);
  else await failed(path, request, status);
}

async function writes(path: RawClient, handle: number, byte: number, status: StatusName = 'OK', lba = SCRATCH): Promise<void> {
  await answered(path, { op: OP.WRITE, handle, lba, count: BLOCK, body: filled(BLOCK, byte) }, status);
}

/** Makes a case with a replica. `run` returns the number of the first node's last term, with which the clean-up ends the mirror. */
function replicaCase(
  id: string,
  section: string,
  expects: string,
  run: (replica: Replica, target: Target) => Promise<number>,
  more: readonly Need[] = [],
): ServerCase {
  const inside = async (mirror: Mirror, target: Target): Promise<number> => {
    const replica = new Replica(mirror, target);
    equals('The outcome of CLAIM', (await mirror.claim(1)).voted, VOTED.DONE);
    await replica.place();
    equals('The outcome of CONFIG', (await mirror.store(1, config(1))).voted, VOTED.DONE);
    const last = await run(replica, target);
    equals('Outcome and sentence of UNPLACE', await outcomeOf(mirror.unplace(last)), [VOTED.DONE, '']);
    return last;
  };
  return mirrorCase(`replica.${id}`, section, expects, inside, ['replica volume', ...more]);
}

async function outcomeOf(answer: Promise<VoteAnswer>): Promise<readonly [number, string]> {
  const { voted, sentence } = await answer;
  return [voted, sentence];
}

export const REPLICA_CASES: readonly ServerCase[] = [
  serverCase('mirror.replica.none', 'Q6', 'A volume that is no replica is not opened under a term', async (target) => {
    const path = await agreed(target);
    const mirror = { mirror: newId(), number: 1 };
    const body = OpenRequest.encode({ name: target.options.volumes.plain, universe: 0, readonly: true, mirror });
    await failed(path, { op: OP.OPEN, body }, 'REPLICA');
  }),
  serverCase('mirror.replica.ioctls', 'IOCTL', 'The handle of a plain volume has no term and no map', async (target) => {
    const path = await agreed(target);
    const handle = await target.handle();
    for (const aux of [IOCTL.TERM, IOCTL.MIRROR_MAP, IOCTL.MIRROR_CLEAR, IOCTL.MIRROR_SUMS])
      await failed(path, { op: OP.IOCTL, handle, aux }, 'UNSUPPORTED');
  }),
  mirrorCase('replica.refused', 'Q8', 'PLACE needs its term, and a free volume in a pool', async (mirror, { options }) => {
    await mirror.claim(1);
    equals('The outcome for a higher term', (await mirror.place(2, options.volumes.plain)).voted, VOTED.UNCLAIMED);
    equals('The outcome without a pool', (await mirror.place(1, options.volumes.plain)).voted, VOTED.REFUSED);
    equals('The outcome without a volume', (await mirror.place(1, 'no-such-volume')).voted, VOTED.REFUSED);
    equals('The outcome of UNPLACE without a replica', (await mirror.unplace(1)).voted, VOTED.DONE);
    return 1;
  }),
  serverCase(
    'mirror.replica.right',
    'Q8',
    'A client with the right use makes no volume of a pool a replica of its mirror, although nobody holds it',
    async (target) => {
      const mirror = new Mirror(await second(target));
      equals('The outcome of FOUND', (await mirror.found()).voted, VOTED.DONE);
      await mirror.claim(1);
      equals('The outcome of PLACE', (await mirror.place(1, target.options.volumes.replica ?? '')).voted, VOTED.REFUSED);
      equals('The outcome of DISMISS', (await mirror.dismiss(1)).voted, VOTED.DONE);
    },
    { needs: ['witness', 'second node', 'replica volume'] },
  ),
  replicaCase(
    'place',
    'Q8',
    'A placed volume is opened under its term only, and is a plain volume again after UNPLACE',
    async (replica) => {
      const { mirror, name } = replica;
      const first = await replica.place();
      equals('The replica in RECORD', (await mirror.record()).replica, first);
      equals('Volume, universe', [first.volume, first.universe], [name, 0]);
      holds((await replica.refuses(null, 'REPLICA')).includes(mirror.id), 'The refusal does not name the mirror');
      await replica.refuses(1, 'REPLICA', mirror.path, { mirror: { mirror: newId(), number: 1 } });
      const { body } = await answered(mirror.path, { op: OP.LIST });
      const entry = ListAnswer.decode(body, 0, body.length).volumes.find((one) => one.name === name);
      equals('The mirror in LIST', entry?.mirror, mirror.id);
      const { handle, life, sizeBytes } = await replica.opens(1);
      equals('Incarnation and size', [life, sizeBytes], [first.incarnation, first.sizeBytes]);
      await writes(mirror.path, handle, 0x11);
      equals('The outcome of DISMISS', (await mirror.dismiss(1)).voted, VOTED.REFUSED);
      const again = await replica.place();
      holds(again.identity !== first.identity, 'A volume that was open keeps its identity');
      await writes(mirror.path, handle, 0x12, 'STALE');
      const other = await replica.opens(1);
      await mirror.unplace(1);
      await termIs(mirror.path, other.handle, 'STALE');
      await replica.refuses(1, 'REPLICA');
      const plain = await replica.opens(null);
      equals('The outcome of PLACE while it is open', (await mirror.place(1, name)).voted, VOTED.REFUSED);
      await answered(mirror.path, { op: OP.CLOSE, handle: plain.handle });
      return 1;
    },
  ),
  replicaCase('map', 'MIRROR_MAP', 'All regions of a new replica are set; a WRITE sets what was cleared', async (replica) => {
    const { mirror } = replica;
    const { handle, sizeBytes } = await replica.opens(1);
    const map = async (): Promise<readonly number[]> => {
      const asked = { op: OP.IOCTL, handle, aux: IOCTL.MIRROR_MAP, body: MirrorMapRequest.encode({ first: 0 }) };
      const { body } = await answered(mirror.path, asked);
      const { regions, bits } = MirrorMapAnswer.decode(body, 0, body.length);
      equals('The number of regions', regions, Math.ceil(sizeBytes / MIRROR_REGION_BYTES));
      return Array.from({ length: regions }, (_, region) => region).filter((region) => (bits[region >> 3]! & (1 << (region & 7))) !== 0);
    };
    const all = await map();
    equals('The regions that are set', all.length, Math.ceil(sizeBytes / MIRROR_REGION_BYTES));
    const ranges = [0, all.length];
    await answered(mirror.path, { op: OP.IOCTL, handle, aux: IOCTL.MIRROR_CLEAR, body: MirrorClearRequest.encode({ ranges }) });
    equals('The regions that are set then', await map(), []);
    await writes(mirror.path, handle, 0x41);
    equals('The regions that are set after a WRITE', await map(), [Math.floor((SCRATCH * SECTOR_BYTES) / MIRROR_REGION_BYTES)]);
    await answered(mirror.path, { op: OP.CLOSE, handle });
    return 1;
  }),
  replicaCase('sums', 'MIRROR_SUMS', 'Equal pieces have equal sums, and a WRITE changes that of its piece alone', async (replica) => {
    const { mirror } = replica;
    const { handle, sizeBytes } = await replica.opens(1);
    const asking = (lba: number, sectors: number, pieceSectors: number): RawRequest => ({
      op: OP.IOCTL,
      handle,
      aux: IOCTL.MIRROR_SUMS,
      body: MirrorSumsRequest.encode({ lba, sectors, pieceSectors }),
    });
    const sums = async (pieceSectors: number): Promise<string[]> => {
      const { body } = await answered(mirror.path, asking(SCRATCH, 4 * BLOCK, pieceSectors));
      const { sums: all } = MirrorSumsAnswer.decode(body, 0, body.length);
      return Array.from({ length: all.length / MIRROR_SUM_BYTES }, (_, index) =>
        all.subarray(index * MIRROR_SUM_BYTES, (index + 1) * MIRROR_SUM_BYTES).toString('hex'),
      );
    };
    for (let index = 0; index < 4; index++) await writes(mirror.path, handle, 0x41, 'OK', SCRATCH + index * BLOCK);
    const before = await sums(BLOCK);
    equals('The number of sums', before.length, 4);
    equals('The number of different sums', new Set(before).size, 1);
    equals('The number of sums, the last piece shorter', (await sums(3 * BLOCK)).length, 2);
    const expected = createHash('sha256')
      .update(filled(BLOCK, 0x41))
      .digest('hex')
      .slice(0, 2 * MIRROR_SUM_BYTES);
    equals('The sum', before[0], expected);
    await writes(mirror.path, handle, 0x42, 'OK', SCRATCH + 2 * BLOCK);
    equals(
      'Which sums are as before',
      (await sums(BLOCK)).map((one) => one === expected),
      [true, true, false, true],
    );
    await failed(mirror.path, asking(sizeBytes / SECTOR_BYTES - BLOCK, 2 * BLOCK, BLOCK), 'PAST_END');
    await answered(mirror.path, { op: OP.CLOSE, handle });
    return 1;
  }),
  replicaCase('term', 'Q6', 'A replica is opened under exactly the promised term', async (replica) => {
    const { mirror } = replica;
    await replica.refuses(2, 'UNCLAIMED');
    await mirror.claim(5);
    await replica.refuses(4, 'TAKEN');
    await replica.refuses(6, 'UNCLAIMED');
    const { handle } = await replica.opens(5);
    await termIs(mirror.path, handle, 'OK');
    await answered(mirror.path, { op: OP.CLOSE, handle });
    return 5;
  }),
  replicaCase('again', 'Q9', 'The same CLAIM again ends nothing, and a higher one of the same client ends its handle', async (replica) => {
    const { mirror } = replica;
    const { handle } = await replica.opens(1);
    told(await mirror.claim(1));
    await termIs(mirror.path, handle, 'OK');
    await writes(mirror.path, handle, 0x21);
    told(await mirror.claim(2));
    await termIs(mirror.path, handle, 'STALE');
    await writes(mirror.path, handle, 0x22, 'STALE');
    const next = await replica.opens(2);
    await answered(mirror.path, { op: OP.CLOSE, handle: next.handle });
    return 2;
  }),
  replicaCase(
    'claim',
    'Q7',
    'A CLAIM of another client ends the handle: what was answered is there, nothing more is executed, and the loser is TAKEN',
    async (replica, target) => {
      const { mirror } = replica;
      const other = await second(target);
      const first = await replica.place();
      const mine = await replica.opens(1);
      await writes(mirror.path, mine.handle, 0x31);
      equals('The outcome without a take-over', (await mirror.claim(2, false, other)).voted, VOTED.HELD);
      await termIs(mirror.path, mine.handle, 'OK');
      const { identity } = told(await mirror.claim(2, true, other));
      equals('The identity of the data', identity, first.identity);
      await termIs(mirror.path, mine.handle, 'STALE');
      await writes(mirror.path, mine.handle, 0x32, 'STALE');
      await replica.refuses(1, 'TAKEN', mirror.path, { resume: mine.identity });
      await replica.refuses(1, 'TAKEN', mirror.path, { take: TAKE.FORCE });
      // Terms of equal numbers are in the order of the names of their clients.
      const [own = { node: '' }, next = { node: '' }] = target.options.nodes;
      await replica.refuses(2, own.node < next.node ? 'TAKEN' : 'UNCLAIMED');
      await replica.refuses(3, 'UNCLAIMED');
      const theirs = await replica.opens(2, other);
      const { body } = await answered(other, { op: OP.READ, handle: theirs.handle, lba: SCRATCH, count: BLOCK });
      equals('What is there', body[0], 0x31);
      told(await mirror.claim(3, true));
      await termIs(other, theirs.handle, 'STALE');
      return 3;
    },
    ['second node'],
  ),
  replicaCase(
    'race',
    'Q7',
    'An OPEN that arrives with a higher CLAIM is refused, or its handle ends before the claim is answered',
    async (replica, target) => {
      const { mirror } = replica;
      const other = await second(target);
      let last = 1;
      for (let times = 0; times < 10; times++) {
        const claiming = mirror.claim(last + 1, true, other);
        const { handle: status, body } = await mirror.path.call(replica.opening(last));
        told(await claiming);
        if (status === 0) await termIs(mirror.path, OpenAnswer.decode(body, 0, body.length).handle, 'STALE');
        last += 2;
        told(await mirror.claim(last, true));
      }
      return last;
    },
    ['second node'],
  ),
];

/** Cases that restart the server. The suite runs these cases last. */
export const REPLICA_RESTART_CASES: readonly ServerCase[] = [
  replicaCase(
    'restart',
    'Q7',
    'Replica, promise and hold survive a restart: the client of the term goes on, and lower terms are TAKEN',
    async (replica, target) => {
      const { mirror } = replica;
      const { identity } = await replica.place();
      told(await mirror.claim(4));
      const before = await replica.opens(4);
      target.leave();
      await target.options.control?.restart();
      mirror.path = await agreed(target);
      await replica.refuses(3, 'TAKEN');
      await replica.refuses(null, 'REPLICA');
      equals('The identity in the answer to the same CLAIM', told(await mirror.claim(4)).identity, identity);
      const after = await replica.opens(4, mirror.path, { resume: before.identity });
      equals('The identity of the hold', after.identity, before.identity);
      const other = await second(target);
      told(await mirror.claim(5, true, other));
      await termIs(mirror.path, after.handle, 'STALE');
      await replica.refuses(4, 'TAKEN', mirror.path, { resume: before.identity });
      told(await mirror.claim(6, true));
      return 6;
    },
    ['control', 'second node'],
  ),
];
