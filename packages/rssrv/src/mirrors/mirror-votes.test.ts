// Tests votes at a server with a replica: PLACE, CLAIM and OPEN in many orders, with restarts, storage that does not answer, and processes
// that die. The judge of the scene finds requests that run under a lower term than the claimed term. Tests with planted faults prove that
// the judge finds violations. The conformance suite tests the same rules with real processes. Rules: Q3, Q6 to Q8, Q10, M4.

import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { type VoteAnswer, VOTED } from '@rsio/protocol/wire/mirror-messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { BIG2, MARS, turns } from '../testing/contenders.ts';
import { MIRROR, ReplicaScene } from '../testing/replica-scene.ts';
import type { ClientIdentity } from '../volumes/holds/grants.ts';
import { REPLICA_WAIT_MS } from './limits.ts';
import type { MirrorVotesPorts } from './mirror-votes.ts';

// Each save of a file takes exactly one event-loop turn. `turns` therefore waits for all work, except the work that a test holds up on
// purpose.
vi.mock('@rsio/base/files/durable-write', async (importOriginal) => ({
  ...(await importOriginal<object>()),
  replaceFile: async (file: string, text: string): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  },
}));

const SOON = { timeout: 30_000, interval: 5 };

let folders: string[] = [];

beforeEach(() => {
  folders = [];
});

afterEach(async () => {
  for (const folder of folders) await removeFolder(folder);
});

async function newScene(changes?: (ports: MirrorVotesPorts) => MirrorVotesPorts): Promise<ReplicaScene> {
  const folder = mkdtempSync(join(tmpdir(), 'rsio-mirrors-'));
  folders.push(folder);
  return new ReplicaScene(folder, changes).start();
}

const CONFIG = { k: 1, inSync: ['c'.repeat(32)], clean: false, nextVoters: null, sizeBytes: 1 << 20, clients: null };
const MEMBERS = [{ identity: 'c'.repeat(32), serverid: 1, volume: 'db', universe: 0 }];
const WHOLE = { ...CONFIG, members: MEMBERS, voters: [{ voter: 'd'.repeat(32), serverid: 1 }] };

const place = (scene: ReplicaScene, number: number, client = BIG2): Promise<VoteAnswer> =>
  scene.vote(client, { vote: 'place', number, volume: 'db', universe: 0 } as never);
const unplace = (scene: ReplicaScene, number: number): Promise<VoteAnswer> => scene.vote(BIG2, { vote: 'unplace', number } as never);

/** Claims term 1 for BIG2, and makes the volume a replica. All clients may claim. */
async function placed(changes?: (ports: MirrorVotesPorts) => MirrorVotesPorts): Promise<ReplicaScene> {
  const scene = await newScene(changes);
  await scene.vote(BIG2, { vote: 'found', name: 'db', universe: 0 } as never);
  await scene.claim(BIG2, 1);
  await place(scene, 1);
  await scene.vote(BIG2, { vote: 'config', number: 1, config: WHOLE } as never);
  return scene;
}

test('a volume becomes a replica with a new identity; the same PLACE again gets the same one until the volume is opened', async () => {
  const scene = await placed();
  const first = await place(scene, 1);
  expect(first).toMatchObject({ voted: VOTED.DONE, replica: { volume: 'db', incarnation: 'life-0', sizeBytes: 1 << 20 } });
  expect((await place(scene, 1)).replica).toEqual(first.replica);
  expect((await scene.vote(BIG2, { vote: 'record' } as never)).replica).toEqual(first.replica);
  expect(await scene.open(BIG2, null)).toMatchObject({
    granted: false,
    status: STATUS.REPLICA,
    sentence: expect.stringContaining('mirror db'),
  });
  expect(await scene.open(BIG2, 1)).toMatchObject({ granted: true });
  const again = await place(scene, 1);
  expect(again).toMatchObject({ voted: VOTED.DONE });
  expect(again.replica?.identity).not.toBe(first.replica?.identity);
  expect(scene.handlesOf(BIG2), 'the handle was of the old data').toBe(0);
});

test('PLACE is refused for a volume that is not free for it, and names the reason', async () => {
  const scene = await placed();
  const volume = scene.volumes[0]!;
  const refused: readonly [Partial<typeof volume>, number, RegExp][] = [
    [{ clients: ['mars'] }, VOTED.REFUSED, /no volume db for client big-2/],
    [{ universe: 7 }, VOTED.REFUSED, /no volume db for client big-2/],
    [{ name: 'other' }, VOTED.REFUSED, /no volume db for client big-2/],
    [{ shared: true }, VOTED.REFUSED, /shared/],
    [{ readonly: true }, VOTED.REFUSED, /read-only/],
    [{ replica: { mirror: 'b'.repeat(32), identity: 'e'.repeat(32), mapPath: '' } }, VOTED.DIFFERENT, /another mirror/],
  ];
  for (const [change, voted, sentence] of refused) {
    scene.volumes = [{ ...volume, ...change }];
    expect(await place(scene, 1)).toMatchObject({ voted, sentence: expect.stringMatching(sentence), replica: null });
  }
  const { pool: _none, ...section } = volume;
  scene.volumes = [section];
  expect(await place(scene, 1)).toMatchObject({ voted: VOTED.REFUSED, sentence: expect.stringMatching(/in no pool/) });
  scene.volumes = [
    { ...volume, id: 'other', name: 'other' },
    { ...volume, replica: undefined as never },
  ];
  expect(await place(scene, 1)).toMatchObject({
    voted: VOTED.DIFFERENT,
    sentence: expect.stringMatching(/other of this server is a replica/),
  });
  expect(await place(scene, 2), 'not claimed').toMatchObject({ voted: VOTED.UNCLAIMED });
});

test('PLACE on a plain volume needs the right to manage it; a replica of the mirror is placed again without it', async () => {
  const scene = await placed();
  scene.mayPlace = false;
  expect(await place(scene, 1)).toMatchObject({ voted: VOTED.DONE });
  await unplace(scene, 1);
  expect(await place(scene, 1)).toMatchObject({ voted: VOTED.REFUSED, sentence: 'Client big-2 may not', replica: null });
  expect(scene.isReplica).toBe(false);
});

test('PLACE leaves a volume alone that a client has open, this one included', async () => {
  const scene = await placed();
  await unplace(scene, 1);
  for (const client of [MARS, BIG2]) {
    await scene.open(client, null);
    expect(await place(scene, 1)).toMatchObject({ voted: VOTED.REFUSED, sentence: expect.stringMatching(/attached: detach it there/) });
    expect([scene.isReplica, scene.handlesOf(client)]).toEqual([false, 1]);
    await scene.close(client);
  }
  scene.faults.placeFails = true;
  expect(await place(scene, 1)).toMatchObject({ voted: VOTED.REFUSED, sentence: 'The pool is full' });
  scene.faults.placeFails = false;
  expect(await place(scene, 1)).toMatchObject({ voted: VOTED.DONE });
});

test('UNPLACE ends the handle first, and may be repeated', async () => {
  const scene = await placed();
  await scene.open(BIG2, 1);
  expect(await unplace(scene, 1)).toMatchObject({ voted: VOTED.DONE, replica: null });
  expect([scene.isReplica, scene.handlesOf(BIG2)]).toEqual([false, 0]);
  expect(await unplace(scene, 1)).toMatchObject({ voted: VOTED.DONE });
  expect(await scene.open(BIG2, 1)).toMatchObject({ status: STATUS.REPLICA });
});

test('UNPLACE tells the clients of the volume, and says so if the storage does not answer', async () => {
  const told: string[] = [];
  const scene = await placed((ports) => ({ ...ports, listChanged: (volumes) => void told.push(...volumes.map(({ name }) => name)) }));
  await scene.open(BIG2, 1);
  told.length = 0;
  scene.hung = [];
  const late = unplace(scene, 1);
  await expect.poll(() => scene.hung?.length, SOON).toBe(1);
  scene.clock.advance(REPLICA_WAIT_MS);
  expect(await late).toMatchObject({ voted: VOTED.REFUSED, sentence: expect.stringMatching(/still a replica/), replica: null });
  expect([scene.isReplica, told]).toEqual([true, []]);
  await scene.letGo();
  await expect.poll(() => told, SOON).toEqual(['db', 'db']);
  expect(scene.isReplica).toBe(false);
});

test('a CLAIM ends the handle of a lower term before its answer, and only then names the replica', async () => {
  const scene = await placed();
  await scene.open(BIG2, 1);
  scene.hung = [];
  let answer: VoteAnswer | null = null;
  const claiming = scene.claim(MARS, 2).then((one) => (answer = one));
  await expect.poll(() => scene.hung?.length, SOON).toBe(1);
  expect(await scene.vote(MARS, { vote: 'confirm', number: 2 } as never), 'the voter does not wait').toMatchObject({ voted: VOTED.DONE });
  expect(answer).toBeNull();
  const { announced } = scene;
  await scene.letGo();
  expect(await claiming).toMatchObject({ voted: VOTED.DONE, replica: { incarnation: 'life-0' } });
  expect(scene.announced, 'a loser that is idle hears of it').toBe(announced + 1);
  expect(scene.handlesOf(BIG2)).toBe(0);
  expect(await scene.open(BIG2, 1, 'id.1')).toMatchObject({ granted: false, status: STATUS.TAKEN });
  expect(await scene.open(MARS, 2)).toMatchObject({ granted: true });
  expect(scene.broken).toBeNull();
});

test('the same CLAIM again, also after a restart, leaves the handle and the hold of its own term alone', async () => {
  const scene = await placed();
  const grant = await scene.open(BIG2, 1);
  const { announced } = scene;
  expect(await scene.claim(BIG2, 1)).toMatchObject({ voted: VOTED.DONE, replica: { volume: 'db' } });
  expect([scene.handlesOf(BIG2), scene.announced - announced]).toEqual([1, 0]);
  await scene.start();
  expect(await scene.claim(BIG2, 1)).toMatchObject({ voted: VOTED.DONE, replica: { volume: 'db' } });
  const { identity } = grant as Extract<typeof grant, { granted: true }>;
  expect(await scene.open(BIG2, 1, identity)).toMatchObject({ granted: true, identity });
});

test('a higher CLAIM of the same client ends its own handle', async () => {
  const scene = await placed();
  await scene.open(BIG2, 1);
  expect(await scene.claim(BIG2, 2)).toMatchObject({ voted: VOTED.DONE, replica: { volume: 'db' } });
  expect(scene.handlesOf(BIG2)).toBe(0);
  expect(await scene.open(BIG2, 2)).toMatchObject({ granted: true });
});

test('storage that does not answer: the server votes without its replica, and grants nothing of a lower term', async () => {
  let fences = 0;
  const scene = await placed((ports) =>
    revokingBy(
      ports,
      (revoke) => revoke(),
      () => fences++,
    ),
  );
  await scene.open(BIG2, 1);
  scene.hung = [];
  fences = 0;
  const claiming = scene.claim(MARS, 2);
  await expect.poll(() => scene.hung?.length, SOON).toBe(1);
  scene.clock.advance(REPLICA_WAIT_MS);
  expect(await claiming).toMatchObject({ voted: VOTED.DONE, replica: null, sentence: expect.stringMatching(/still executes/) });
  const openings = [scene.open(BIG2, 1), scene.open(MARS, 2)];
  // However many claims are sent, at most one fence is running and one is waiting.
  const claims = Array.from({ length: 20 }, () => scene.claim(MARS, 2));
  await expect.poll(() => scene.hung?.length, SOON).toBe(1);
  await scene.letGo();
  expect(await Promise.all(openings)).toMatchObject([{ status: STATUS.TAKEN }, { granted: true }]);
  for (const answer of await Promise.all(claims)) expect(answer).toMatchObject({ voted: VOTED.DONE, replica: { volume: 'db' } });
  expect(fences).toBe(2);
  expect([scene.broken, scene.handlesOf(MARS)]).toEqual([null, 1]);
});

test('a flush that fails starts a new incarnation, and the CLAIM names it', async () => {
  const scene = await placed();
  await scene.open(BIG2, 1);
  scene.faults.isFlushed = false;
  expect(await scene.claim(MARS, 2)).toMatchObject({ voted: VOTED.DONE, replica: { incarnation: 'life-1' } });
  expect(scene.logged.join('\n')).toMatch(/writes of its last holder may be lost/);
});

describe('what the replica may lack (Q10)', () => {
  const lacked = async (scene: ReplicaScene, number: number, client = MARS): Promise<number | null | undefined> => {
    const { replica } = await scene.claim(client, number);
    const lacks = replica?.lacksTerm;
    return lacks === null || lacks === undefined ? lacks : lacks.number;
  };
  /** A machine crash: the storage begins another incarnation, and the server starts again. */
  const crash = async (scene: ReplicaScene): Promise<void> => {
    scene.life++;
    await scene.start();
  };

  test('nothing if its storage has kept all, also over a restart, and unknown in other answers', async () => {
    const scene = await placed();
    await scene.open(BIG2, 1);
    await scene.start();
    expect(await lacked(scene, 2)).toBeNull();
    expect((await scene.vote(MARS, { vote: 'record' } as never)).replica?.lacksTerm).toBeUndefined();
  });

  test('the term whose holder did not come back after a crash, even if its hold has ended in another way than by the claim', async () => {
    const scene = await placed();
    const { identity } = (await scene.open(BIG2, 1)) as { identity: string };
    await crash(scene);
    await scene.open(BIG2, 1, identity);
    await scene.close(BIG2);
    await scene.start();
    expect(scene.holds.holdersOf('id')).toEqual([]);
    expect(await lacked(scene, 2)).toBe(1);
    expect(await lacked(scene, 2), 'the same claim again').toBe(1);
  });

  test('nothing if the holder has sent everything again', async () => {
    const scene = await placed();
    const { identity } = (await scene.open(BIG2, 1)) as { identity: string };
    await crash(scene);
    const { epoch } = (await scene.open(BIG2, 1, identity)) as { epoch: number };
    await scene.holds.settle('id', BIG2, epoch, scene.incarnation);
    expect(await lacked(scene, 2)).toBeNull();
  });

  test('a flush that fails at the claim, and an earlier term after a later one that has lost nothing', async () => {
    const scene = await placed();
    await scene.open(BIG2, 1);
    scene.faults.isFlushed = false;
    expect(await lacked(scene, 2)).toBe(1);
    scene.faults.isFlushed = true;
    await scene.open(MARS, 2);
    await scene.start();
    expect(await lacked(scene, 2), 'the holder knows its own writes').toBe(1);
    expect(await lacked(scene, 3, BIG2)).toBe(1);
    await crash(scene);
    expect(await lacked(scene, 4)).toBe(2);
  });

  test('nothing for data with another identity', async () => {
    const scene = await placed();
    await scene.open(BIG2, 1);
    await crash(scene);
    expect(await lacked(scene, 2)).toBe(1);
    await place(scene, 2, MARS);
    expect(await lacked(scene, 3)).toBeNull();
  });
});

test('a CLAIM that a higher one overtakes is answered SUPERSEDED', async () => {
  const scene = await placed();
  await scene.open(BIG2, 1);
  scene.hung = [];
  const lower = scene.claim(MARS, 2);
  await expect.poll(() => scene.hung?.length, SOON).toBe(1);
  const higher = scene.claim(BIG2, 3);
  await expect.poll(() => scene.voters.recordOf(MIRROR)?.promise?.number, SOON).toBe(3);
  await scene.letGo();
  expect(await lower).toMatchObject({ voted: VOTED.SUPERSEDED, promise: { number: 3 }, replica: null });
  expect(await higher).toMatchObject({ voted: VOTED.DONE, replica: { volume: 'db' } });
});

test('a restart between the promise and the end of the handle: the lower term is refused, and the claim again ends its hold', async () => {
  const scene = await placed();
  const { identity } = (await scene.open(BIG2, 1)) as { identity: string };
  scene.hung = [];
  void scene.claim(MARS, 2);
  await expect.poll(() => scene.hung?.length, SOON).toBe(1);
  await scene.start();
  expect(await scene.open(BIG2, 1, identity)).toMatchObject({ status: STATUS.TAKEN });
  expect(await scene.open(MARS, 2), 'the old hold is there').toMatchObject({ status: STATUS.UNCLAIMED });
  expect(await scene.claim(MARS, 2)).toMatchObject({ voted: VOTED.DONE, replica: { volume: 'db' } });
  expect(await scene.open(MARS, 2)).toMatchObject({ granted: true });
});

test('a voter that has lost its record gives the replica to no term below that of its hold', async () => {
  const scene = await placed();
  await scene.claim(BIG2, 7);
  await scene.open(BIG2, 7);
  await scene.voters.remove(MIRROR);
  expect(await scene.open(BIG2, 7), 'no record').toMatchObject({ status: STATUS.UNCLAIMED });
  await scene.vote(MARS, { vote: 'found', name: 'db', universe: 0 } as never);
  expect(await scene.claim(MARS, 2)).toMatchObject({ voted: VOTED.DONE, replica: null, sentence: expect.stringMatching(/higher term 7/) });
  expect(await scene.open(MARS, 2)).toMatchObject({ granted: false });
  expect(await scene.claim(MARS, 8)).toMatchObject({ voted: VOTED.DONE, replica: { volume: 'db' } });
});

test('a replica that is not served, or there twice, is not named', async () => {
  const scene = await placed();
  const [replica] = scene.volumes;
  for (const [volumes, sentence] of [
    [[], /^$/],
    [[replica!, { ...replica!, id: 'copy', name: 'copy' }], /db and copy/],
  ] as const) {
    scene.volumes = [...volumes];
    const answer = { voted: VOTED.DONE, replica: null, sentence: expect.stringMatching(sentence) };
    expect(await scene.claim(BIG2, 1)).toMatchObject(answer);
    expect(await scene.vote(BIG2, { vote: 'record' } as never)).toMatchObject(answer);
  }
});

// Regression: the voter promised the term of a client without the right to use the volume, and the holder of the volume lost its hold.
test('a claim of a client to which the replica is not offered is refused, and promises nothing', async () => {
  const scene = await placed();
  await scene.claim(MARS, 3);
  const [replica] = scene.volumes;
  scene.volumes = [{ ...replica!, clients: ['mars'] }];
  const sentence = 'This server does not offer its replica to client big-2';
  expect(await scene.claim(BIG2, 4)).toMatchObject({ voted: VOTED.REFUSED, sentence, replica: null, promise: { node: 'mars', number: 3 } });
  expect(await scene.claim(MARS, 5)).toMatchObject({ voted: VOTED.DONE, replica: { volume: 'db' } });
});

type Move =
  | { kind: 'claim' | 'open'; who: number; number: number }
  | { kind: 'close' | 'crash' | 'newStart'; who: number }
  | { kind: 'hang' | 'go' | 'restart' | 'late' };

const who = fc.integer({ min: 0, max: 1 });
const number = fc.integer({ min: 1, max: 4 });
const MOVES: fc.Arbitrary<Move> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constantFrom('claim' as const, 'open' as const), who, number }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('close' as const, 'crash' as const, 'newStart' as const), who }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('hang' as const, 'go' as const, 'restart' as const, 'late' as const) }) },
);

/**
 * Plays the moves without waiting for the answers. Returns the first violation that the judge of the scene has found: a handle that is open
 * under no term, or under a lower term than the claimed term. Returns null if the judge has found no violation.
 */
async function played(moves: readonly Move[], changes?: (ports: MirrorVotesPorts) => MirrorVotesPorts): Promise<string | null> {
  const scene = await placed(changes);
  const clients: ClientIdentity[] = [BIG2, MARS];
  for (const move of moves) {
    const client = 'who' in move ? clients[move.who]! : BIG2;
    if (move.kind === 'claim') void scene.claim(client, move.number).catch(() => undefined);
    if (move.kind === 'open') void scene.open(client, move.number).catch(() => undefined);
    if (move.kind === 'close') void scene.close(client).catch(() => undefined);
    if (move.kind === 'crash') scene.crash(client);
    if (move.kind === 'newStart') {
      scene.crash(client);
      clients[clients.indexOf(client)] = { ...client, instance: client.instance + 1 };
    }
    if (move.kind === 'hang') scene.hung ??= [];
    if (move.kind === 'go') await scene.letGo();
    if (move.kind === 'restart') await scene.start();
    if (move.kind === 'late') scene.clock.advance(REPLICA_WAIT_MS);
    await turns();
  }
  await scene.letGo();
  await turns();
  return scene.broken;
}

test('in no order of claims, opens, crashes and restarts does anything of a lower term run after a claim that has the replica', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(MOVES, { minLength: 3, maxLength: 14 }), async (moves) => {
      expect(await played(moves)).toBeNull();
    }),
    { numRuns: 120 },
  );
});

const LOWER_STAYS: readonly Move[] = [{ kind: 'open', who: 0, number: 1 }, { kind: 'hang' }, { kind: 'claim', who: 1, number: 2 }];

/** Returns ports whose `endHolds` calls `begun`, and revokes through the function `revokes`, which may have a planted fault. */
function revokingBy(
  ports: MirrorVotesPorts,
  revokes: (revoke: () => Promise<void>) => Promise<void>,
  begun: () => void = () => undefined,
): MirrorVotesPorts {
  const { holds } = ports;
  const endHolds: typeof holds.endHolds = (id, losers, revoke, after) => {
    begun();
    return holds.endHolds(id, losers, (...all) => revokes(() => revoke(...all)), after);
  };
  return { ...ports, holds: Object.assign(Object.create(holds) as typeof holds, { endHolds }) };
}

test.each<[string, (ports: MirrorVotesPorts) => MirrorVotesPorts]>([
  ['nothing is revoked', (ports) => ({ ...ports, revoke: () => Promise.resolve(true) })],
  ['the answer does not wait for it', (ports) => revokingBy(ports, async (revoke) => void revoke())],
])('the judge sees it if %s', async (_, changes) => {
  expect(await played(LOWER_STAYS)).toBeNull();
  expect(await played(LOWER_STAYS, changes)).toMatch(/term 1 after 2 was claimed/);
});
