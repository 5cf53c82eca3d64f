// Tests the driver of a mirror with a scripted decider, servers in memory and a fake clock: the execution of each order, and the events for
// the decider. The tests in protocol/mirror/membership cover the rules of the decider.

import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import type { Attachment } from '@rsio/protocol/client/attachment';
import type { Request } from '@rsio/protocol/client/requests/request';
import type { Trunk } from '@rsio/protocol/client/trunk';
import type { MembershipEvent, MembershipOrder, MirrorView, ReplicaView } from '@rsio/protocol/mirror/membership/interface';
import { OPEN_ANSWER } from '@rsio/protocol/testing/trunk-scene';
import { VOTE, VoteAnswer, VOTED } from '@rsio/protocol/wire/mirror-messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { expect, test } from 'vitest';
import type { DriverServer } from './driver-ports.ts';
import { MirrorDriver } from './mirror-driver.ts';

const MIRROR = 'f'.repeat(32);
const ID = 'a'.repeat(32);
const VOTER = 'c'.repeat(32);
const DONE = { voted: VOTED.DONE, sentence: '', voter: VOTER, promise: null, stored: null, replica: null };
const RECORD = { kind: 'record' } as const;

class FakeServer {
  readonly serverid: number;
  readonly name: string;
  readonly sent: Request[] = [];
  readonly added: Attachment[] = [];
  readonly closed: Attachment[] = [];
  /**
   * `asked`: the requests to grow a replica that the server has received. `refusal`: the error with which the server answers these
   * requests.
   */
  readonly asked: object[] = [];
  refusal: RsError | null = null;
  readonly callAdmin = (_method: string, params: object): Promise<unknown> => {
    this.asked.push(params);
    return this.refusal === null ? Promise.resolve({}) : Promise.reject(this.refusal);
  };
  readonly trunk = {
    paths: [{}],
    session: { canVote: true } as object | null,
    isEnded: false,
    submit: (one: Request) => void this.sent.push(one),
  };
  readonly opener = {
    add: (attachment: Attachment) => {
      attachment.isOpenRequested = true;
      attachment.setReachable(true);
      this.added.push(attachment);
    },
    close: (attachment: Attachment, closed: (problem: string | null) => void) => {
      this.closed.push(attachment);
      closed(null);
    },
  };

  constructor(serverid: number) {
    this.serverid = serverid;
    this.name = `pi-${serverid}`;
  }

  answer(index: number, answer = DONE): void {
    const request = this.sent[index]!;
    request.answers = [VoteAnswer.encode(answer)];
    request.events!.requestDone(request, STATUS.OK);
  }
}

class Scene {
  readonly clock = new FakeClock();
  readonly servers = [new FakeServer(1), new FakeServer(2)];
  readonly heard: MembershipEvent[] = [];
  readonly said: string[] = [];
  /** Key: kind of an event. Value: the orders with which the decider answers the next event of that kind. */
  readonly script = new Map<MembershipEvent['kind'], MembershipOrder[]>();
  readonly driver = new MirrorDriver(
    MIRROR,
    {
      on: (event) => {
        this.heard.push(event);
        const orders = this.script.get(event.kind) ?? [];
        this.script.delete(event.kind);
        return orders;
      },
    },
    {
      clock: this.clock,
      random: () => 0,
      servers: () => this.servers.map((one) => one as unknown as DriverServer & { trunk: Trunk }),
      newLog: () => null,
      patienceMs: () => 1000,
      data: {
        setView: () => undefined,
        serve: (isClean) => void this.said.push(`serve ${isClean}`),
        opened: (identity) => void this.said.push(`opened ${identity[0]}`),
        giveUp: (identity) => void this.said.push(`give up ${identity[0]}`),
        end: (status) => void this.said.push(`end ${status}`),
      },
      detached: () => void this.said.push('detached'),
      ended: (code, sentence) => void this.said.push(`${code}: ${sentence}`),
      note: (...note) => void this.said.push(`note ${note.slice(0, 3).join(', ')}`),
    },
  );

  /** Reports an event to which the decider answers with these orders. */
  order(...orders: MembershipOrder[]): void {
    this.script.set('caught-up', orders);
    this.driver.report({ kind: 'caught-up', identity: ID });
    this.clock.advance(0);
    this.take();
  }

  start(): this {
    this.driver.start();
    this.clock.advance(0);
    this.take();
    return this;
  }

  /** Opens a replica at the first server. */
  open(): Attachment {
    this.order({ kind: 'open', identity: ID, server: 1, volume: 'db', universe: 0, number: 7 });
    const attachment = this.servers[0]!.added.at(-1)!;
    attachment.opened(OPEN_ANSWER);
    this.driver.opened(attachment, false);
    this.clock.advance(0);
    return attachment;
  }

  /** Returns the events that the decider has got since the last call of `take`, except `retry`. */
  take(): MembershipEvent[] {
    return this.heard.splice(0).filter(({ kind }) => kind !== 'retry');
  }
}

function view(replica: Partial<ReplicaView>): MirrorView {
  const own: ReplicaView = {
    identity: ID,
    server: 1,
    role: 'member',
    counts: true,
    reads: true,
    confirms: true,
    session: 'open',
    mayJoin: false,
    foundBytes: 0,
    lacksTerm: null,
    ...replica,
  };
  const sets = [[1, 2].map((serverid) => ({ voter: `${serverid}`.repeat(32), serverid }))];
  return {
    term: 7,
    isServing: true,
    replicas: [own],
    voterSets: sets,
    sizeBytes: 512,
    isPending: false,
    isAllInSync: true,
    waitsFor: null,
  };
}

test('a vote is answered once: with the answer, or with null as soon as its server is out of reach', () => {
  const scene = new Scene().start();
  const [first, second] = scene.servers;
  scene.order({ kind: 'vote', server: 1, order: 1, request: RECORD }, { kind: 'vote', server: 2, order: 2, request: RECORD });
  expect([first!.sent[0]!.aux, second!.sent.length]).toEqual([VOTE.RECORD, 1]);
  second!.answer(0);
  expect(scene.take()).toEqual([{ kind: 'voted', server: 2, order: 2, answer: DONE }]);
  first!.trunk.paths.pop();
  scene.driver.look();
  scene.clock.advance(0);
  expect(scene.take()).toEqual([
    { kind: 'voted', server: 1, order: 1, answer: null },
    { kind: 'server-down', server: 1 },
  ]);
  // The next vote is not sent before the answer to the first vote, because the trunk sends the first vote again in the new session.
  first!.trunk.paths.push({});
  first!.trunk.session = { canVote: true };
  scene.driver.look();
  scene.clock.advance(0);
  scene.order({ kind: 'vote', server: 1, order: 3, request: { kind: 'claim', number: 8, takesOver: false } });
  expect(first!.sent.length).toBe(1);
  first!.answer(0);
  expect([scene.take(), first!.sent[1]!.aux]).toEqual([[], VOTE.CLAIM]);
  first!.answer(1);
  expect(scene.take()).toEqual([{ kind: 'voted', server: 1, order: 3, answer: DONE }]);
});

test('a vote for a server that is not connected is answered with null, for one without mirrors with a sentence', () => {
  const scene = new Scene().start();
  scene.servers[1]!.trunk.session = { canVote: false };
  scene.script.set('caught-up', [
    { kind: 'vote', server: 9, order: 1, request: RECORD },
    { kind: 'vote', server: 2, order: 2, request: RECORD },
  ]);
  scene.driver.report({ kind: 'caught-up', identity: ID });
  scene.clock.advance(0);
  expect(scene.take().slice(-2)).toMatchObject([
    { order: 1, answer: null },
    { order: 2, answer: { voted: VOTED.UNKNOWN, voter: null, sentence: expect.stringContaining('pi-2') } },
  ]);
});

test('a replica is opened under the claim, and its session ends when it is given up', () => {
  const scene = new Scene().start();
  const attachment = scene.open();
  expect(attachment.openRequest).toMatchObject({ name: 'db', mirror: { mirror: MIRROR, number: 7 } });
  expect([scene.said, scene.take()]).toEqual([['opened a'], [{ kind: 'opened', identity: ID, sizeBytes: OPEN_ANSWER.sizeBytes }]]);
  scene.order({ kind: 'give-up', identity: ID, sentence: '' });
  expect([scene.said.at(-1), scene.servers[0]!.closed]).toEqual(['give up a', [attachment]]);
  // Reports of the session that was given up are ignored.
  expect(scene.driver.opened(attachment, false)).toBe(false);
  expect(scene.driver.failed(attachment, STATUS.TAKEN, 'x')).toBe(false);
});

test('a replica without a path is silent after the patience, and one whose OPEN is in flight never is', () => {
  const scene = new Scene().start();
  const attachment = scene.open();
  scene.order({ kind: 'view', view: view({}) });
  scene.clock.advance(60_000);
  expect(scene.take()).toEqual([]);
  scene.servers[0]!.trunk.paths.pop();
  attachment.setReachable(false);
  scene.driver.look();
  scene.clock.advance(999);
  expect(scene.take()).toEqual([{ kind: 'server-down', server: 1 }]);
  scene.clock.advance(1);
  expect(scene.take()).toEqual([{ kind: 'silent', identity: ID, sentence: 'No path to server pi-1' }]);
  scene.servers[0]!.trunk.paths.push({});
  attachment.setReachable(true);
  scene.driver.look();
  scene.clock.advance(0);
  expect(scene.take()).toEqual([
    { kind: 'server-up', server: 1, name: 'pi-1' },
    { kind: 'opened', identity: ID, sizeBytes: OPEN_ANSWER.sizeBytes },
  ]);
});

test('a server that has the OPEN and does not answer is waited for; one that refuses it is not', () => {
  const scene = new Scene().start();
  scene.order({ kind: 'open', identity: ID, server: 1, volume: 'db', universe: 0, number: 7 });
  scene.order({ kind: 'view', view: view({ session: 'opening' }) });
  scene.clock.advance(60_000);
  expect(scene.take()).toEqual([]);
  const attachment = scene.servers[0]!.added[0]!;
  scene.driver.failed(attachment, STATUS.VOLUME_UNAVAILABLE, 'The pool is away');
  scene.driver.look();
  scene.clock.advance(0);
  expect(scene.take()).toEqual([{ kind: 'open-failed', identity: ID, reason: 'refused', sentence: 'The pool is away' }]);
  scene.clock.advance(1000);
  expect(scene.take()).toMatchObject([{ kind: 'silent', identity: ID }]);
});

test.each([
  ['UNKNOWN_VOLUME', 'barred'],
  ['TAKEN', 'taken'],
  ['UNCLAIMED', 'unclaimed'],
  ['HELD', 'refused'],
] as const)('an OPEN that is answered with %s has failed: %s', (status, reason) => {
  const scene = new Scene().start();
  scene.order({ kind: 'open', identity: ID, server: 1, volume: 'db', universe: 0, number: 7 });
  scene.take();
  scene.driver.failed(scene.servers[0]!.added[0]!, STATUS[status], 'No');
  scene.driver.look();
  scene.clock.advance(0);
  expect(scene.take()).toEqual([{ kind: 'open-failed', identity: ID, reason, sentence: 'No' }]);
});

test.each([
  ['returning', ['lost'], 1],
  ['joining', ['lost'], 1],
  ['member', [], 0],
] as const)('a %s replica with a new incarnation starts again: %o', (role, events, closed) => {
  const scene = new Scene().start();
  const attachment = scene.open();
  scene.order({ kind: 'view', view: view({ role }) });
  scene.driver.opened(attachment, true);
  scene.clock.advance(0);
  expect([scene.take().map(({ kind }) => kind), scene.servers[0]!.closed.length]).toEqual([events, closed]);
});

test('the end fails all I/O and closes the sessions, and nothing is sent any more', () => {
  const scene = new Scene().start();
  scene.open();
  scene.order({ kind: 'end', code: 'E_TAKEN', sentence: 'm6 has it' }, { kind: 'vote', server: 1, order: 9, request: RECORD });
  expect(scene.said).toEqual(['opened a', `end ${STATUS.TAKEN}`, 'give up a', 'E_TAKEN: m6 has it']);
  expect([scene.servers[0]!.closed.length, scene.servers[0]!.sent.length, scene.driver.hasEnded]).toEqual([1, 0, true]);
  scene.clock.advance(60_000);
  expect([scene.take(), scene.clock.timersPending]).toEqual([[], 0]);
});

test('voters confirm the term when a majority of each set has answered, and do not when the time is over', async () => {
  const scene = new Scene().start();
  scene.order({ kind: 'view', view: view({}) });
  const asked = [scene.driver.confirmByVoters(), scene.driver.confirmByVoters()];
  for (const [at, server] of scene.servers.entries()) {
    server.answer(0, { ...DONE, voter: `${at + 1}`.repeat(32) });
    if (at === 0) server.answer(1, { ...DONE, voter: '1'.repeat(32) });
  }
  scene.clock.advance(10_000);
  expect(await Promise.all(asked)).toEqual([true, false]);
});

test('a voter that has promised a higher term is asked for its record, by which an idle client hears of its end', async () => {
  const scene = new Scene().start();
  scene.order({ kind: 'view', view: view({}) });
  const asked = scene.driver.confirmByVoters();
  scene.heard.length = 0;
  scene.servers[0]!.answer(0, { ...DONE, voted: VOTED.SUPERSEDED } as unknown as typeof DONE);
  expect(scene.heard).toEqual([{ kind: 'server-up', server: 1, name: 'pi-1' }]);
  scene.clock.advance(10_000);
  expect(await asked).toBe(false);
});

test('a voter counts only in the set of voters that names it, although another set names the same server', async () => {
  const scene = new Scene().start();
  const [newOnes, others] = [1, 2].map((serverid) => [{ voter: `${serverid}`.repeat(32), serverid }]);
  const old = [{ voter: '9'.repeat(32), serverid: 1 }];
  scene.order({ kind: 'view', view: { ...view({}), voterSets: [old, [...newOnes!, ...others!]] } });
  const asked = scene.driver.confirmByVoters();
  for (const [at, server] of scene.servers.entries()) server.answer(0, { ...DONE, voter: `${at + 1}`.repeat(32) });
  scene.clock.advance(10_000);
  expect(await asked).toBe(false);
});

test('events tell that a replica falls behind, is copied and is in sync', () => {
  const scene = new Scene().start();
  for (const change of [{}, { role: 'returning', session: 'none' }, { role: 'returning' }, {}] as const)
    scene.order({ kind: 'view', view: view(change) });
  expect(scene.said).toEqual([
    'note replica on server pi-1, in sync, behind',
    'note replica on server pi-1, behind, copying',
    'note replica on server pi-1, copying, in sync',
  ]);
});

/** Lets promises settle, then advances the clock. */
async function settle(scene: Scene, ms = 0): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await Promise.resolve();
  scene.clock.advance(ms);
}

const LARGER = 2 * OPEN_ANSWER.sizeBytes;
const GROW = { kind: 'grow', identity: ID, sizeBytes: LARGER } as const;

test('a replica has grown when its server says so and lists the new size', async () => {
  const scene = new Scene().start();
  const attachment = scene.open();
  const [server] = scene.servers;
  scene.order({ kind: 'view', view: view({}) });
  scene.order(GROW, GROW);
  expect(server!.asked).toEqual([{ name: 'db', universe: 0, sizeBytes: LARGER, pool: null, mirror: MIRROR }]);
  await settle(scene);
  expect(scene.take()).toEqual([]);
  attachment.grow(LARGER);
  scene.driver.look();
  scene.clock.advance(0);
  expect(scene.take()).toEqual([{ kind: 'grown', identity: ID, sizeBytes: LARGER }]);
  await settle(scene, 60_000);
  expect([server!.asked.length, scene.take()]).toEqual([1, []]);
});

test('a server that does not answer is asked again until the session ends; one that refuses is not', async () => {
  const scene = new Scene().start();
  scene.open();
  const [server] = scene.servers;
  scene.order({ kind: 'view', view: view({}) });
  server!.refusal = new RsError('E_UNREACHABLE', 'Gone');
  scene.order(GROW);
  await settle(scene, 1_000);
  await settle(scene, 1_000);
  expect([server!.asked.length, scene.take()]).toEqual([3, []]);
  server!.refusal = new RsError('E_SPACE', 'The pool is full');
  await settle(scene, 1_000);
  await settle(scene);
  expect(scene.take()).toEqual([{ kind: 'grow-failed', identity: ID, sentence: 'Server pi-1: The pool is full' }]);
  server!.refusal = new RsError('E_TIMEOUT', 'Gone');
  scene.order(GROW);
  scene.order({ kind: 'give-up', identity: ID, sentence: '' });
  const asked = server!.asked.length;
  await settle(scene, 60_000);
  expect([server!.asked.length, scene.take()]).toEqual([asked, []]);
});

test('a replica that is smaller than the mirror is used when it has grown, and given up when the mirror grows without it', async () => {
  const scene = new Scene().start();
  scene.order({ kind: 'view', view: { ...view({ role: 'returning', session: 'none' }), sizeBytes: LARGER } });
  const attachment = scene.open();
  expect([scene.said, scene.take().map(({ kind }) => kind)]).toEqual([[], ['opened']]);
  scene.order(GROW);
  attachment.grow(LARGER);
  await settle(scene);
  await settle(scene);
  expect([scene.said, scene.take().map(({ kind }) => kind)]).toEqual([['opened a'], ['grown']]);
  scene.order({ kind: 'view', view: { ...view({ role: 'returning' }), sizeBytes: 2 * LARGER } });
  expect([scene.said.at(-1), scene.servers[0]!.closed]).toEqual(['give up a', [attachment]]);
});
