// Tests when a mirror may answer a READ (M15): which replicas are asked, that one TERM serves many READs, and when the voters are asked
// instead. data-path-random.test.ts checks that no READ is stale.

import { expect, test } from 'vitest';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { Request } from '../../client/requests/request.ts';
import { FakeSession, FakeStore } from '../../testing/fake-replica.ts';
import { OP } from '../../wire/frames.ts';
import { CONFIRM_PATIENCE_MS } from '../limits.ts';
import { MirrorIo } from './mirror-io.ts';
import { TimesBudget } from '../lacks/change-times.ts';

class Scene {
  readonly clock = new FakeClock();
  readonly random = new SeededRandom(1);
  readonly votes: ((isConfirmed: boolean) => void)[] = [];
  readonly terms: string[] = [];
  readonly sessions: readonly FakeSession[];
  readonly io = new MirrorIo(
    { mirror: 'mirror', name: 'oracle', universe: 0, readonly: false },
    {
      clock: this.clock,
      timesBudget: new TimesBudget(),
      lost: () => {},
      settleSoon: () => {},
      unsettledGrew: () => {},
      confirmByVoters: () => new Promise((answer) => this.votes.push(answer)),
      standingChanged: () => {},
    },
  );

  constructor(replicas: number) {
    this.sessions = ['A', 'B', 'C'].slice(0, replicas).map((identity) => this.open(identity));
    for (const { replica } of this.sessions) this.io.addReplica(replica);
    this.view(...this.sessions);
  }

  open(identity: string): FakeSession {
    return new FakeSession(new FakeStore(identity, 0, [1, 1, 1, 1]), ({ store }, { op }) => {
      if (op === OP.IOCTL) this.terms.push(store.identity);
    });
  }

  /** Sets a view in which these replicas are in sync, and only replica A executes READs. */
  view(...sessions: readonly FakeSession[]): void {
    this.setView(sessions, (identity) => identity === 'A');
  }

  /** Sets a view in which these replicas are in sync, and all of them execute READs. */
  viewAll(...sessions: readonly FakeSession[]): void {
    this.setView(sessions, () => true);
  }

  private setView(sessions: readonly FakeSession[], reads: (identity: string) => boolean): void {
    const replicas = sessions.map(({ store: { identity } }) => ({ identity, counts: true, confirms: true, reads: reads(identity) }));
    this.io.setView({ term: 1, replicas, isServing: true, sizeBytes: 4 * SECTOR_BYTES, waitsFor: null });
    this.clock.advance(0);
  }

  submit(op: number, block = 0): number[] {
    const statuses: number[] = [];
    const bodyBytes = op === OP.FLUSH ? 0 : SECTOR_BYTES;
    const request = Object.assign(new Request(), {
      op,
      lba: block,
      count: bodyBytes / SECTOR_BYTES,
      bodyBytes,
      buffer: Buffer.alloc(bodyBytes),
    });
    request.events = { requestDone: (_done, status) => statuses.push(status) };
    this.io.submit(request, this.clock.monotonicMs());
    return statuses;
  }

  /** Executes and answers all requests of these replicas. */
  settle(...sessions: readonly FakeSession[]): void {
    for (let times = 0; times < 100; times++) for (const session of sessions) session.step(this.random);
    this.clock.advance(0);
  }

  async answerVotes(isConfirmed: boolean): Promise<void> {
    for (const answer of this.votes.splice(0)) answer(isConfirmed);
    await Promise.resolve();
    await Promise.resolve();
    this.clock.advance(0);
  }
}

test('one TERM confirms all READs of the same event, and a later READ needs another one', () => {
  const scene = new Scene(2);
  const [a, b] = scene.sessions;
  const reads = [scene.submit(OP.READ, 0), scene.submit(OP.READ, 1), scene.submit(OP.READ, 2)];
  scene.settle(a!);
  expect([scene.terms, reads]).toEqual([['B'], [[], [], []]]);
  scene.settle(b!);
  expect([scene.terms, reads]).toEqual([['B'], [[0], [0], [0]]]);
  const later = scene.submit(OP.READ, 3);
  scene.settle(a!);
  expect(later).toEqual([]);
  scene.settle(b!);
  expect([scene.terms, later, scene.votes]).toEqual([['B', 'B'], [0], []]);
});

test('a replica that was silent is not waited for until it answers, and executes no READs meanwhile', async () => {
  const scene = new Scene(2);
  const [a, b] = scene.sessions;
  const first = scene.submit(OP.READ, 0);
  scene.settle(a!);
  scene.clock.advance(CONFIRM_PATIENCE_MS);
  expect(scene.votes).toHaveLength(1);
  await scene.answerVotes(true);
  const second = scene.submit(OP.READ, 1);
  scene.settle(a!);
  expect([first, second, scene.votes.length]).toEqual([[0], [], 1]);
  await scene.answerVotes(true);
  scene.viewAll(...scene.sessions);
  const queued = b!.queue.length;
  const others = [scene.submit(OP.READ, 2), scene.submit(OP.READ, 3)];
  expect([second, b!.queue.length]).toEqual([[0], queued]);
  scene.settle(a!, b!);
  const last = scene.submit(OP.READ, 0);
  for (const session of [a!, b!, a!, b!]) scene.settle(session);
  expect([...others, last]).toEqual([[0], [0], [0]]);
  await scene.answerVotes(false);
  expect(scene.votes).toEqual([]);
});

test('a change that a replica has executed confirms as well', () => {
  const scene = new Scene(2);
  const [a, b] = scene.sessions;
  const read = scene.submit(OP.READ, 0);
  scene.submit(OP.WRITE, 3);
  scene.settle(a!);
  const isTerm = ({ op }: Request): boolean => op === OP.IOCTL;
  b!.queue = b!.queue.filter((request) => !isTerm(request));
  expect(read).toEqual([]);
  scene.settle(b!);
  expect(read).toEqual([0]);
});

test('the only replica in sync confirms its READs itself, and with mirror-reads = local nothing else is asked', () => {
  const alone = new Scene(1);
  const first = alone.submit(OP.READ);
  alone.settle(...alone.sessions);
  const local = new Scene(2);
  local.io.readsAreLocal = true;
  const second = local.submit(OP.READ);
  local.settle(local.sessions[0]!);
  expect([first, second, alone.terms, local.terms]).toEqual([[0], [0], [], []]);
});

test('the voters are asked at once for a replica without a path, and after a time for a silent one', async () => {
  const scene = new Scene(2);
  const [a, b] = scene.sessions;
  const silent = scene.submit(OP.READ);
  scene.settle(a!);
  expect(scene.votes).toHaveLength(0);
  scene.clock.advance(2 * CONFIRM_PATIENCE_MS);
  expect([scene.votes.length, silent]).toEqual([1, []]);
  await scene.answerVotes(true);
  expect(silent).toEqual([0]);
  b!.setReachable(false);
  const away = scene.submit(OP.READ, 1);
  scene.settle(a!);
  expect([scene.votes.length, away]).toEqual([1, []]);
  await scene.answerVotes(true);
  expect(away).toEqual([0]);
});

test('a round of the voters does not confirm a READ that was submitted after its begin, and a refusal confirms nothing', async () => {
  const scene = new Scene(2);
  const [a, b] = scene.sessions;
  b!.setReachable(false);
  const first = scene.submit(OP.READ, 0);
  scene.settle(a!);
  const later = scene.submit(OP.READ, 1);
  scene.settle(a!);
  expect(scene.votes).toHaveLength(1);
  await scene.answerVotes(true);
  expect([first, later, scene.votes.length]).toEqual([[0], [], 1]);
  await scene.answerVotes(false);
  expect([later, scene.votes.length]).toEqual([[], 0]);
  scene.clock.advance(2 * CONFIRM_PATIENCE_MS);
  await scene.answerVotes(true);
  expect(later).toEqual([0]);
});

test('a READ is confirmed without a replica that no longer counts', () => {
  const scene = new Scene(2);
  const [a] = scene.sessions;
  const read = scene.submit(OP.READ);
  scene.settle(a!);
  scene.io.giveUp('B');
  scene.clock.advance(0);
  expect(read).toEqual([]);
  scene.view(a!);
  expect(read).toEqual([0]);
});

test('a replica that comes while a FLUSH is under way gets it, too', () => {
  const scene = new Scene(2);
  const [a, b] = scene.sessions;
  const flush = scene.submit(OP.FLUSH);
  scene.settle(a!);
  const c = scene.open('C');
  scene.io.addReplica(c.replica);
  scene.settle(b!);
  expect(flush).toEqual([]);
  scene.view(a!, b!, c);
  scene.settle(c);
  expect(flush).toEqual([0]);
});
