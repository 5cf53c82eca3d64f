// Tests the decider of a mirror's membership in single scenes with three servers whose voters answer at once: attaching, refusals, removal
// and return of a replica, wishes. test/mirrors/ explores random orders of events with the voters of rssrv. Rules: M5, G33, G45.

import { describe, expect, test } from 'vitest';
import { type MirrorConfig, type StoredConfig, type Term, type VoteAnswer, VOTED } from '../../wire/mirror-messages.ts';
import { compareTerms } from '@rsio/base/structures/term-order';
import type { MembershipEvent, MembershipOrder, MirrorWish, VoteRequest } from './interface.ts';
import { Membership } from './membership.ts';

const id = (digit: string): string => digit.repeat(32);
const NAMES = ['big-1', 'big-2', 'pi-1'];
const MEMBERS = [0, 1].map((serverid) => ({ identity: id(`${serverid}`), serverid, volume: 'db', universe: 0 }));
const VOTERS = [0, 1, 2].map((serverid) => ({ voter: id('abc'[serverid] ?? ''), serverid }));
const FORMER: Term = { number: 4, node: 'other', instance: 1 };
const MINE = { node: 'me', instance: 7 };
/** The term of this client before its restart, and the term of a client that has claimed the mirror since, to end the first one. */
const OWN: Term = { number: 4, node: 'me', instance: 6 };
const LATER: Term = { number: 5, node: 'kubernetes', instance: 1 };
const CONFIG: MirrorConfig = {
  k: 3,
  inSync: MEMBERS.map(({ identity }) => identity),
  clean: true,
  members: MEMBERS,
  voters: VOTERS,
  nextVoters: null,
  sizeBytes: 4096,
  clients: null,
};

class Voter {
  mayBeTaken = true;
  /** True if the server does not offer its replica to this client. */
  isHidden = false;
  /** Number of the term that another data process of this client has claimed; 0 if there is none. */
  beside = 0;
  keepsNotes = true;
  promise: Term | null = FORMER;
  /** What the replica may lack, according to the answers to claims. */
  lacksTerm: Term | null = null;
  stored: StoredConfig | null = { term: FORMER, config: CONFIG };
  identity: string | null;
  voter: string;

  constructor(serverid: number) {
    this.voter = id('abc'[serverid] ?? '');
    this.identity = MEMBERS[serverid]?.identity ?? null;
  }

  answer(request: VoteRequest): VoteAnswer {
    const term = 'number' in request ? { ...MINE, number: request.number } : null;
    const order = term === null || this.promise === null ? 1 : compareTerms(term, this.promise);
    let voted: number = VOTED.DONE;
    if (request.kind === 'claim' && this.isHidden) voted = VOTED.REFUSED;
    else if (order < 0 || term?.number === this.beside) voted = VOTED.SUPERSEDED;
    else if (request.kind === 'claim') voted = this.#claim(request.takesOver, term);
    else if (request.kind === 'config' && term !== null) this.stored = { term, config: request.config };
    else if (request.kind === 'place') this.identity = id('9');
    const replica =
      this.identity === null ? null : { identity: this.identity, incarnation: 'x', volume: 'db', universe: 0, sizeBytes: 4096 };
    const claimed = replica !== null && request.kind === 'claim' ? { ...replica, lacksTerm: this.lacksTerm } : replica;
    const sentence = voted === VOTED.HELD && !this.mayBeTaken ? 'You may not take it over' : '';
    return {
      voted,
      sentence,
      voter: this.voter,
      promise: this.promise,
      stored: this.stored,
      replica: claimed,
      keepsNotes: this.keepsNotes,
    };
  }

  #claim(takesOver: boolean, term: Term | null): number {
    const hasEnded = this.stored?.config.clean === true && this.promise !== null && compareTerms(this.stored.term, this.promise) === 0;
    if (!(takesOver && this.mayBeTaken) && !hasEnded && this.promise?.node !== MINE.node) return VOTED.HELD;
    this.promise = term;
    return VOTED.DONE;
  }
}

/** A decider with three servers that answer at once, and a driver that opens replicas at once. */
class Scene {
  readonly voters = [new Voter(0), new Voter(1), new Voter(2)];
  readonly down = new Set<number>();
  /** Servers that do not answer an OPEN, and servers that do not offer their replica to this client. */
  readonly unanswered = new Set<number>();
  readonly barred = new Set<number>();
  readonly orders: MembershipOrder[] = [];
  readonly membership: Membership;

  constructor(takesOver = false, isAutomatic = false) {
    const servers = NAMES.map((name, serverid) => ({ serverid, name }));
    this.membership = new Membership({ mirror: id('f'), name: 'db', universe: 0, me: MINE, takesOver, isAutomatic, servers });
  }

  start(): this {
    for (const [server, name] of NAMES.entries()) if (!this.down.has(server)) this.send({ kind: 'server-up', server, name });
    return this;
  }

  send(event: MembershipEvent): this {
    for (const order of this.membership.on(event)) {
      this.orders.push(order);
      if (order.kind === 'vote') {
        const answer = this.down.has(order.server) ? null : (this.voters[order.server]?.answer(order.request) ?? null);
        this.send({ kind: 'voted', server: order.server, order: order.order, answer });
      }
      if (order.kind === 'open' && this.unanswered.has(order.server)) continue;
      if (order.kind === 'open' && this.barred.has(order.server)) this.bar(order.server);
      else if (order.kind === 'open' && !this.down.has(order.server))
        this.send({ kind: 'opened', identity: order.identity, sizeBytes: 4096 });
    }
    return this;
  }

  /** The server answers the OPEN of its replica: it does not offer the replica to this client. */
  bar(server: number): void {
    this.send({ kind: 'open-failed', identity: MEMBERS[server]!.identity, reason: 'barred', sentence: `Server ${server} offers none` });
  }

  /** The server has revoked the session of its replica, and refuses another one. */
  revoke(server: number): void {
    this.barred.add(server);
    for (const kind of ['lost', 'open-failed'] as const)
      this.send({ kind, identity: MEMBERS[server]!.identity, reason: 'taken', sentence: 'It was taken away' } as MembershipEvent);
  }

  wish(wish: MirrorWish): this {
    return this.send({ kind: 'wish', id: 1, wish });
  }

  of<K extends MembershipOrder['kind']>(kind: K): (MembershipOrder & { kind: K })[] {
    return this.orders.filter((order): order is MembershipOrder & { kind: K } => order.kind === kind);
  }

  roles(): string[] {
    return this.membership.view.replicas.map(({ role, session, counts }) => `${role} ${session}${counts ? ' counts' : ''}`);
  }

  get config(): MirrorConfig | undefined {
    return this.voters[0]?.stored?.config;
  }
}

/** A take-over of a mirror that another client has, and that the given servers refuse. */
function takesOver(refusing: readonly number[], config: MirrorConfig = CONFIG): { readonly scene: Scene; readonly claims: () => number[] } {
  const scene = new Scene(true);
  for (const voter of scene.voters) voter.stored = { term: FORMER, config: { ...config, clean: false } };
  for (const server of refusing) scene.voters[server]!.mayBeTaken = false;
  return { scene, claims: () => scene.of('vote').flatMap(({ server, request }) => (request.kind === 'claim' ? [server] : [])) };
}

describe('attaching', () => {
  test('claims the next term, sends its own configuration, opens the replicas and serves', () => {
    const scene = new Scene().start();
    expect(scene.of('serve')).toEqual([{ kind: 'serve', isClean: true }]);
    expect(scene.config).toEqual({ ...CONFIG, k: 1, clean: false });
    expect(scene.voters.map(({ promise }) => promise?.number)).toEqual([5, 5, 5]);
    expect(scene.membership.view).toMatchObject({ term: 5, isServing: true, isAllInSync: true, sizeBytes: 4096, waitsFor: null });
    expect(scene.roles()).toEqual(['member open counts', 'member open counts']);
  });

  test('is refused while another client has the mirror, and nothing is claimed', () => {
    const scene = new Scene();
    for (const voter of scene.voters) voter.stored = { term: FORMER, config: { ...CONFIG, clean: false } };
    scene.start();
    expect(scene.of('end')).toEqual([
      { kind: 'end', code: 'E_HELD', sentence: 'Client other has mirror db: detach it there, or rsconfig -a --take-over db' },
    ]);
    expect(scene.of('vote').every(({ request }) => request.kind === 'record')).toBe(true);
  });

  // Regression: the witness promised the term of a client that was not allowed to take over the replicas. Because of this promise, the
  // holder later gave up the mirror.
  test('a take-over that a replica refuses while the other one is away claims no witness, and waits before it asks again', () => {
    const { scene, claims } = takesOver([0]);
    const [first, , witness] = scene.voters;
    scene.down.add(1);
    scene.start();
    expect([claims(), witness?.promise]).toEqual([[0], FORMER]);
    expect(scene.membership.view.waitsFor).toBe('Waits for a replica in sync: big-1 or big-2 (big-1: You may not take it over)');
    scene.send({ kind: 'retry' });
    expect([claims(), witness?.promise, scene.of('end')]).toEqual([[0, 0], FORMER, []]);
    first!.mayBeTaken = true;
    scene.send({ kind: 'retry' });
    expect([scene.of('serve').length, witness?.promise]).toEqual([1, { ...MINE, number: 5 }]);
  });

  // Regression: such a take-over was tried again for 48 s, and then ended as a time-out.
  test('a take-over that all replicas in sync refuse ends at once, with the reasons of their servers', () => {
    const { scene, claims } = takesOver([0, 1]);
    scene.start();
    const sentence = 'Client other has mirror db (big-1: You may not take it over; big-2: You may not take it over)';
    expect(scene.of('end')).toEqual([{ kind: 'end', code: 'E_HELD', sentence }]);
    expect([claims(), scene.voters[2]?.promise]).toEqual([[0, 1], FORMER]);
  });

  test('a take-over that one of two replicas refuses succeeds with the other one and the witness', () => {
    const { scene } = takesOver([0]);
    scene.start();
    expect([scene.of('serve').length, scene.of('end')]).toEqual([1, []]);
  });

  test('a take-over of a mirror with one replica ends when that replica refuses it', () => {
    const members = MEMBERS.slice(0, 1);
    const { scene, claims } = takesOver([0], { ...CONFIG, members, inSync: members.map(({ identity }) => identity) });
    scene.start();
    expect([claims(), scene.of('end')[0]?.code]).toEqual([[0], 'E_HELD']);
  });

  test('claims a voter that was away when the other client detached', () => {
    const scene = new Scene();
    const [, , last] = scene.voters;
    if (last !== undefined) last.stored = { term: FORMER, config: { ...CONFIG, k: 2, clean: false } };
    expect(scene.start().of('serve')).toHaveLength(1);
    expect(last?.promise?.node).toBe('me');
  });

  test('says which voters are missing, and goes on when one of them comes', () => {
    const scene = new Scene();
    scene.down.add(0).add(2);
    scene.start();
    expect(scene.membership.view.waitsFor).toBe('Waits for a majority of the voters: big-1 does not answer and pi-1 does not answer');
    scene.down.delete(2);
    scene.send({ kind: 'server-up', server: 2, name: 'pi-1' });
    expect(scene.of('serve')).toHaveLength(1);
    expect(scene.membership.view.waitsFor).toBe('Waits for the replica on big-1: the server does not answer');
  });
});

/** A client that had the mirror attaches it after a restart, automatically or by order. `promises`: of the three voters. */
function restarted(promises: readonly Term[], { isAutomatic = true, clean = false, by = OWN } = {}): Scene {
  const scene = new Scene(false, isAutomatic);
  for (const [index, promise] of promises.entries())
    Object.assign(scene.voters[index]!, { promise, stored: { term: by, config: { ...CONFIG, clean } } });
  return scene;
}

const asked = (scene: Scene): Set<string> => new Set(scene.of('vote').map(({ request }) => request.kind));

const CLAIMED_AT = (servers: string): string =>
  `Client kubernetes has claimed mirror db at ${servers} after this client, and may attach it: rsconfig -a db attaches it here`;

describe('an automatic attach', () => {
  // Regression: the first server had executed the order that took the mirror away, and the second one was away at that time.
  test.each([false, true])('does not win against a client that has ended the claim of this one, detached: %s', (clean) => {
    const scene = restarted([LATER, OWN, LATER], { clean });
    scene.voters[0]!.isHidden = true;
    scene.start();
    expect(scene.membership.view.waitsFor).toBe(CLAIMED_AT('big-1 and pi-1'));
    // The next client serves, and this one ends.
    for (const voter of [scene.voters[0]!, scene.voters[2]!]) voter.stored = { term: LATER, config: { ...CONFIG, clean: false } };
    for (let tries = 0; tries < 3; tries++) scene.send({ kind: 'retry' });
    expect([scene.of('serve'), scene.of('end').map(({ code }) => code)]).toEqual([[], ['E_HELD']]);
    expect(asked(scene)).toEqual(new Set(['record']));

    const ordered = restarted([LATER, OWN, LATER], { clean, isAutomatic: false });
    ordered.voters[0]!.isHidden = true;
    expect(ordered.start().of('serve')).toHaveLength(1);
  });

  test('waits for a voter that may know of the end of its claim', () => {
    const cases: readonly [Term, number][] = [
      [LATER, 0],
      [OWN, 1],
    ];
    for (const [promise, serves] of cases) {
      const scene = restarted([promise, OWN, LATER]);
      scene.down.add(0);
      scene.start();
      expect(scene.membership.view.waitsFor).toBe(CLAIMED_AT('pi-1'));
      expect(asked(scene)).toEqual(new Set(['record']));
      scene.down.clear();
      scene.send({ kind: 'server-up', server: 0, name: NAMES[0]! });
      expect([scene.of('end').length, scene.of('serve').length]).toEqual([0, serves]);
    }
  });

  test.each<[string, Term[], readonly number[], Term?]>([
    ['nobody has claimed the mirror since', [OWN, OWN, OWN], [0]],
    ['a minority has promised a later term, of a client that has given up', [LATER, OWN, OWN], []],
    ['a voter was away at its own claim', [{ ...LATER, number: 3 }, OWN, OWN], [1]],
    ['the later term ended the claim of a third client', [LATER, LATER, FORMER], [], FORMER],
  ])('succeeds if %s', (_what, promises, away, by = OWN) => {
    const scene = restarted(promises, { by });
    for (const server of away) scene.down.add(server);
    expect(scene.start().of('serve')).toHaveLength(1);
  });
});

test('a client whose term another data process has claimed claims the next one, and ends if it serves', () => {
  const scene = new Scene();
  const beside = scene.voters[1]!;
  [beside.beside, beside.promise] = [5, { ...MINE, number: 5 }];
  scene.down.add(1);
  scene.start();
  expect(scene.membership.view).toMatchObject({ term: 5, isServing: true });
  scene.down.clear();
  scene.send({ kind: 'server-up', server: 1, name: NAMES[1]! });
  expect(scene.of('end')).toMatchObject([{ code: 'E_TAKEN' }]);

  const next = new Scene();
  next.voters[0]!.beside = 5;
  next.voters[0]!.promise = { ...MINE, number: 4 };
  const send = next.voters[0]!.answer.bind(next.voters[0]);
  // The other data process claims the number after this data process has read the record.
  next.voters[0]!.answer = (request) => {
    if (request.kind === 'claim' && request.number === 5) next.voters[0]!.promise = { ...MINE, number: 5 };
    return send(request);
  };
  next.start();
  for (let tries = 0; tries < 3; tries++) next.send({ kind: 'retry' });
  expect(next.membership.view).toMatchObject({ term: 6, isServing: true });
});

test('a client that is told of a higher term ends', () => {
  const scene = new Scene().start();
  for (const voter of scene.voters) voter.promise = { number: 6, node: 'other', instance: 2 };
  scene.wish({ kind: 'detach' });
  expect(scene.of('end')).toMatchObject([{ code: 'E_TAKEN' }]);
  expect(scene.membership.on({ kind: 'retry' })).toEqual([]);
});

test('a silent replica leaves, returns, joins and is in sync again', () => {
  const scene = new Scene().start();
  const identity = id('1');
  scene.send({ kind: 'silent', identity, sentence: 'big-2 does not answer' });
  expect(scene.of('give-up')).toHaveLength(1);
  expect(scene.config?.inSync).toEqual([id('0')]);
  expect(scene.roles()).toEqual(['member open counts', 'returning open']);
  scene.send({ kind: 'caught-up', identity });
  expect(scene.roles()).toEqual(['member open counts', 'joining open counts']);
  scene.send({ kind: 'joined-flushed', identity });
  expect(scene.config?.inSync).toEqual([id('0'), identity]);
  expect(scene.membership.view.isAllInSync).toBe(true);
});

describe('a replica that lacks writes', () => {
  /** All voters have promised a term of this client. Only replica 0 is in sync, as all voters know, or all except the voter of server 1. */
  function without(isKnownAtItsServer: boolean): Scene {
    const scene = new Scene();
    for (const [serverid, voter] of scene.voters.entries()) {
      const isKnown = serverid !== 1 || isKnownAtItsServer;
      const config = { ...CONFIG, clean: false, ...(isKnown ? { k: 4, inSync: [id('0')] } : {}) };
      Object.assign(voter, { promise: OWN, stored: { term: OWN, config } });
    }
    return scene;
  }

  // Its server and the witness are a majority of the voters, and the replica has the identity of before.
  test.each([true, false])('is never the one that a client begins with, whether its own server knows of its removal: %s', (isKnown) => {
    const scene = without(isKnown);
    scene.down.add(0);
    scene.start();
    for (let tries = 0; tries < 3; tries++) scene.send({ kind: 'retry' });
    expect([scene.of('serve'), scene.of('open'), scene.membership.view.waitsFor]).toEqual([[], [], 'Waits for a replica in sync: big-1']);
    scene.down.clear();
    scene.send({ kind: 'server-up', server: 0, name: NAMES[0]! });
    expect([scene.of('serve').length, scene.roles(), scene.config?.inSync]).toEqual([
      1,
      ['member open counts', 'returning open'],
      [id('0')],
    ]);
  });

  test('counts from the first attach until most voters have its removal, and then returns by a copy', () => {
    const scene = new Scene();
    scene.down.add(1);
    scene.start();
    expect([scene.of('serve').length, scene.roles()]).toEqual([1, ['member open counts', 'member none counts']]);
    scene.send({ kind: 'silent', identity: id('1'), sentence: 'No path' });
    expect([scene.config?.inSync, scene.roles()]).toEqual([[id('0')], ['member open counts', 'returning none']]);
    scene.down.clear();
    scene.send({ kind: 'server-up', server: 1, name: NAMES[1]! });
    expect(scene.roles()).toEqual(['member open counts', 'returning open']);
    expect(scene.membership.view.replicas.map(({ reads }) => reads)).toEqual([true, false]);
  });

  test('counts while only a minority of the voters has its removal; the mirror goes on when another voter is back', () => {
    const scene = new Scene().start();
    scene.down.add(1).add(2);
    for (const server of [1, 2]) scene.send({ kind: 'server-down', server });
    scene.send({ kind: 'silent', identity: id('1'), sentence: 'No path' });
    expect(scene.config?.inSync).toEqual([id('0')]);
    expect([scene.membership.view.isPending, scene.roles()[1]]).toEqual([true, expect.stringMatching(/^leaving .* counts$/)]);
    scene.down.delete(2);
    scene.send({ kind: 'server-up', server: 2, name: NAMES[2]! });
    expect([scene.membership.view.isPending, scene.roles()[1]]).toEqual([false, 'returning none']);
  });
});

test('a server that has come back without its disks is named, with the command that makes its replica again', () => {
  const scene = new Scene().start();
  const back = (): string | null => {
    scene.send({ kind: 'server-down', server: 1 }).send({ kind: 'silent', identity: id('1'), sentence: 'No path to server big-2' });
    return scene.send({ kind: 'server-up', server: 1, name: 'big-2' }).membership.view.waitsFor;
  };
  scene.voters[1]!.identity = null;
  const waits = 'Waits for the replica on big-2, which is not in sync: ';
  expect(back()).toBe(`${waits}the server answers, and does not serve it`);
  scene.voters[1]!.voter = id('d');
  const command = 'rsconfig mirror replace db@0 --server big-2 --with big-2 makes its replica again';
  expect(back()).toBe(`${waits}the server answers, and has lost its record of the mirror; ${command}`);
});

test('the last replica in sync is never given up while it is only silent, and a lost one ends the client', () => {
  const scene = new Scene().start();
  scene.send({ kind: 'silent', identity: id('1'), sentence: 'no answer' });
  scene.send({ kind: 'silent', identity: id('0'), sentence: 'no answer' });
  expect(scene.of('give-up')).toHaveLength(1);
  expect(scene.membership.view.waitsFor).toBe('Waits for the replica on big-1: no answer');
  scene.send({ kind: 'lost', identity: id('0'), sentence: 'the volume is gone' });
  expect(scene.of('end')).toMatchObject([{ code: 'E_VOLUME' }]);
});

describe('a wish', () => {
  const answers = (scene: Scene): string[] => scene.of('wished').map(({ sentence }) => sentence);

  test('detaches', () => {
    const scene = new Scene().start().wish({ kind: 'detach' });
    expect(scene.of('detached')).toHaveLength(1);
    expect(scene.config).toMatchObject({ k: 2, clean: true });
  });

  test('removes a replica, and adds it with a new identity', () => {
    const scene = new Scene().start().wish({ kind: 'remove', identity: id('1') });
    expect(scene.config?.members).toEqual([MEMBERS[0]]);
    expect(scene.of('vote').some(({ request }) => request.kind === 'unplace')).toBe(true);
    scene.wish({ kind: 'add', server: 1, volume: 'db', universe: 0 });
    expect(scene.config).toMatchObject({ inSync: [id('0')], members: [{ identity: id('0') }, { identity: id('9'), serverid: 1 }] });
    expect(scene.roles()).toEqual(['member open counts', 'returning open']);
    expect(answers(scene)).toEqual(['', '']);
  });

  test('changes the voters in two steps', () => {
    const scene = new Scene().start().wish({ kind: 'voters', servers: [0, 1] });
    const sent = scene.of('vote').flatMap(({ request }) => (request.kind === 'config' && request.config.k > 1 ? [request.config] : []));
    expect(new Set(sent.map(({ k, nextVoters }) => `${k} ${nextVoters?.length ?? 0}`))).toEqual(new Set(['2 2', '3 0']));
    expect(scene.config?.voters).toEqual(VOTERS.slice(0, 2));
    expect(answers(scene)).toEqual(['']);
  });

  test('grows the mirror after its replicas', () => {
    const scene = new Scene().start().wish({ kind: 'grow', sizeBytes: 8192 });
    expect(scene.of('grow').map(({ identity }) => identity)).toEqual([id('0'), id('1')]);
    scene.send({ kind: 'grown', identity: id('0'), sizeBytes: 8192 });
    expect(scene.membership.view.sizeBytes).toBe(4096);
    scene.send({ kind: 'grown', identity: id('1'), sizeBytes: 8192 });
    expect(scene.membership.view.sizeBytes).toBe(8192);
    expect(answers(scene)).toEqual(['']);
  });

  test('is given up while no configuration of it was sent', () => {
    const scene = new Scene().start();
    scene.wish({ kind: 'remove', identity: id('1') }).wish({ kind: 'voters', servers: [0, 2] });
    scene.down.add(1);
    scene.send({ kind: 'server-down', server: 1 });
    scene.wish({ kind: 'voters', servers: [0, 1] });
    scene.wish({ kind: 'add', server: 1, volume: 'db', universe: 0 }).wish({ kind: 'stop' }).wish({ kind: 'stop' });
    expect(answers(scene)).toEqual([
      '',
      '',
      'Another change of the mirror is under way',
      'The change was given up by command',
      '',
      'No change is under way',
    ]);
    expect(scene.config?.voters).toEqual([VOTERS[0], VOTERS[2]]);
  });

  test('is not given up when its configuration was sent, and the server of a replica is not asked to join for it', () => {
    const scene = new Scene().start().wish({ kind: 'remove', identity: id('1') });
    scene.down.add(0).add(2);
    scene.wish({ kind: 'add', server: 1, volume: 'db', universe: 0 }).wish({ kind: 'stop' });
    expect(answers(scene)).toEqual(['', 'The change was sent to the voters, so it is completed when most of them answer']);
    scene.down.clear();
    scene.send({ kind: 'retry' });
    expect(answers(scene).at(-1)).toBe('');
    expect(scene.config?.members.map(({ identity }) => identity)).toEqual([id('0'), id('9')]);
  });

  test('that cannot be done is answered with the reason', () => {
    const scene = new Scene().start();
    scene.wish({ kind: 'add', server: 1, volume: 'db', universe: 0 });
    scene.wish({ kind: 'voters', servers: [0, 2] });
    scene.wish({ kind: 'grow', sizeBytes: 1 });
    scene.wish({ kind: 'keep-voters' });
    expect(answers(scene)).toEqual([
      'big-2 has a replica of the mirror: remove it first',
      'big-2 has a replica, so it stays a voter: remove the replica first',
      'The mirror has 4096 bytes already: it can only grow',
      'No change of voters is under way',
    ]);
  });
});

describe('growth', () => {
  const LARGER = 8192;
  const grown = (digit: string): MembershipEvent => ({ kind: 'grown', identity: id(digit), sizeBytes: LARGER });

  test('the size is told when all replicas that count have grown, and a majority of the voters knows it', () => {
    const scene = new Scene().start().wish({ kind: 'grow', sizeBytes: LARGER });
    expect(scene.of('grow').map(({ identity, sizeBytes }) => [identity, sizeBytes])).toEqual([
      [id('0'), LARGER],
      [id('1'), LARGER],
    ]);
    expect(scene.membership.view.waitsFor).toBe('Waits until the replicas on big-1 and big-2 have grown');
    scene.send(grown('0'));
    expect([scene.membership.view.sizeBytes, scene.membership.view.waitsFor]).toEqual([4096, 'Waits until the replica on big-2 has grown']);
    scene.send(grown('1'));
    expect([scene.membership.view.sizeBytes, scene.config?.sizeBytes, scene.of('wished').at(-1)?.sentence]).toEqual([LARGER, LARGER, '']);
  });

  test('a replica is told to be found as large as it was when it was opened, before it grew', () => {
    const scene = new Scene().start().wish({ kind: 'grow', sizeBytes: LARGER }).send(grown('0')).send(grown('1'));
    scene.send({ kind: 'silent', identity: id('0'), sentence: 'No path' }).send({ kind: 'opened', identity: id('0'), sizeBytes: LARGER });
    expect(scene.membership.view.replicas.map(({ foundBytes }) => foundBytes)).toEqual([4096, 4096]);
  });

  test('the view has what a replica may lack from the answer to its claim, and not from other answers', () => {
    const scene = new Scene();
    scene.voters[0]!.lacksTerm = FORMER;
    scene.start().send({ kind: 'server-down', server: 0 }).send({ kind: 'server-up', server: 0, name: 'big-1' });
    expect(scene.membership.view.replicas.map(({ lacksTerm }) => lacksTerm)).toEqual([FORMER, null]);
  });

  test('a refusal ends the growth, nothing is told, and it can be repeated', () => {
    const scene = new Scene().start().wish({ kind: 'grow', sizeBytes: LARGER });
    scene.send(grown('0')).send({ kind: 'grow-failed', identity: id('1'), sentence: 'Server big-2: full' });
    expect([scene.of('wished').at(-1)?.sentence, scene.membership.view.sizeBytes, scene.config?.sizeBytes]).toEqual([
      'Server big-2: full',
      4096,
      4096,
    ]);
    scene.wish({ kind: 'grow', sizeBytes: LARGER }).send({ kind: 'retry' });
    expect(scene.of('grow').slice(2)).toMatchObject([{ identity: id('1') }]);
    scene.send(grown('1'));
    expect(scene.membership.view.sizeBytes).toBe(LARGER);
  });

  test('a replica that is away does not stop it; it grows when it returns, and the view says why it is not copied', () => {
    const scene = new Scene().start();
    scene.down.add(1);
    scene.send({ kind: 'server-down', server: 1 }).send({ kind: 'silent', identity: id('1'), sentence: 'No path' });
    scene.wish({ kind: 'grow', sizeBytes: LARGER }).send(grown('0'));
    expect([scene.membership.view.sizeBytes, scene.of('wished').at(-1)?.sentence]).toEqual([LARGER, '']);
    scene.down.delete(1);
    scene.send({ kind: 'server-up', server: 1, name: 'big-2' });
    expect(scene.of('grow').at(-1)).toMatchObject({ identity: id('1'), sizeBytes: LARGER });
    const waits = 'Waits for the replica on big-2, which is not in sync: ';
    expect(scene.membership.view.waitsFor).toBe(`${waits}it grows to the size of the mirror`);
    scene.send({ kind: 'grow-failed', identity: id('1'), sentence: 'Server big-2: full' });
    expect([scene.membership.view.waitsFor, scene.membership.view.replicas[1]?.mayJoin]).toEqual([`${waits}Server big-2: full`, false]);
    scene.send({ kind: 'retry' }).send(grown('1'));
    expect(scene.membership.view.replicas[1]?.mayJoin).toBe(true);
  });
});

describe('notes', () => {
  const sentences = (scene: Scene): string[] => scene.of('wished').map(({ sentence }) => sentence);

  test('a note is stored by most voters, and the next holder has it', () => {
    const scene = new Scene().start().wish({ kind: 'note', note: 'one' });
    expect(sentences(scene)).toEqual(['']);
    expect(scene.voters.map(({ stored }) => stored?.config.note)).toEqual(['one', 'one', 'one']);
    scene.wish({ kind: 'note', note: 'one' }).wish({ kind: 'detach' });
    expect([sentences(scene), scene.config?.note, scene.config?.clean]).toEqual([['', ''], 'one', true]);
  });

  test('the first note needs all voters, and each must keep notes', () => {
    const old = new Scene();
    old.voters[2]!.keepsNotes = false;
    expect(sentences(old.start().wish({ kind: 'note', note: 'one' }))).toEqual([expect.stringContaining('voter pi-1 keeps notes')]);
    expect(old.config?.note).toBeUndefined();
    const away = new Scene();
    away.down.add(2);
    expect(sentences(away.start().wish({ kind: 'note', note: 'one' }))).toEqual([expect.stringContaining('voter')]);
  });

  test('a later note needs most voters, and is not done before they have it', () => {
    const scene = new Scene().start().wish({ kind: 'note', note: 'one' });
    scene.down.add(2).add(1);
    scene.wish({ kind: 'note', note: 'two' });
    expect(sentences(scene), 'one voter is not enough').toEqual(['']);
    scene.down.delete(1);
    scene.send({ kind: 'retry' });
    expect(sentences(scene)).toEqual(['', '']);
    expect(scene.voters.map(({ stored }) => stored?.config.note)).toEqual(['two', 'two', 'one']);
  });
});

// Regression: a client that was still opening one replica when the mirror was taken away from it believed for ever that it had the mirror,
// because that replica was neither open nor lost.
describe('the mirror is taken away while a replica is being opened', () => {
  const ended = { kind: 'end', code: 'E_VOLUME', sentence: 'No replica of mirror db is left that is in sync: It was taken away' };

  test.each([
    ['the open replica first', ['revoke 0', 'bar 1']],
    ['the replica that is being opened first', ['bar 1', 'revoke 0']],
    ['the attempt to open it is repeated', ['bar 1', 'retry', 'revoke 0']],
    ['it is repeated after that', ['revoke 0', 'retry', 'bar 1', 'retry']],
    ['another server takes no part', ['revoke 0', 'down 2', 'bar 1']],
  ])('%s: the client ends', (_, events) => {
    const scene = new Scene();
    scene.unanswered.add(1);
    scene.start();
    expect(scene.roles()).toEqual(['member open counts', 'member opening counts']);
    for (const event of events) {
      expect(scene.of('end')).toEqual([]);
      const [what, server] = [event.split(' ')[0], Number(event.split(' ')[1])];
      if (what === 'bar') {
        scene.unanswered.delete(server);
        scene.barred.add(server);
        scene.bar(server);
      } else if (what === 'revoke') scene.revoke(server);
      else if (what === 'down') scene.send({ kind: 'server-down', server });
      else scene.send({ kind: 'retry' });
      if (scene.of('end').length > 0) break;
    }
    expect(scene.of('end')).toEqual([ended]);
  });

  test('a replica that another server does not open now, or that was offered again, keeps the mirror', () => {
    const scene = new Scene();
    scene.unanswered.add(1);
    scene.start();
    const identity = MEMBERS[1]!.identity;
    scene.send({ kind: 'open-failed', identity, reason: 'refused', sentence: 'Its pool is away' });
    scene.revoke(0);
    expect(scene.of('end')).toEqual([]);
    scene.unanswered.delete(1);
    scene.send({ kind: 'retry' });
    expect([scene.of('end'), scene.roles()[1]]).toEqual([[], 'member open counts']);
  });

  test('a server whose voter does not say that it has the replica proves nothing', () => {
    const scene = new Scene();
    scene.unanswered.add(1);
    scene.start();
    scene.down.add(1);
    scene.bar(1);
    scene.revoke(0);
    expect(scene.of('end')).toEqual([]);
  });

  test('while one replica is open, the mirror goes on', () => {
    const scene = new Scene();
    scene.unanswered.add(1);
    scene.start();
    scene.barred.add(1);
    scene.unanswered.delete(1);
    scene.bar(1);
    scene.send({ kind: 'retry' });
    expect([scene.of('end'), scene.roles()[0]]).toEqual([[], 'member open counts']);
  });
});
