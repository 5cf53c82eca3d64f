// Two clients attach a mirror at the same moment, each automatically, by order, or with a take-over: the production decider and the production
// rules of voters, in random orders of their messages. In the end a client serves the mirror. Explorers that only look for lost data do not
// see two clients that end each other. RSIO_MIRROR_PAIRS=3000 makes more pairs. Rules: M5.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { MembershipEvent, MirrorSeed, VoteRequest } from '@rsio/protocol/mirror/membership/interface';
import { Membership } from '@rsio/protocol/mirror/membership/membership';
import { type MirrorConfig, type Term, type VoteAnswer, VOTED } from '@rsio/protocol/wire/mirror-messages';
import { claim, store, type VoterRecord } from '@rsio/rssrv/mirrors/voter-rules';
import { expect, test } from 'vitest';

const PAIRS = Number(process.env['RSIO_MIRROR_PAIRS'] ?? 300);
const STEPS_MAX = 600;
/** The orders in which a client may reach the servers. */
const ORDERS = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
];
const idOf = (letter: string): string => letter.repeat(32);
const SERVERS = ['big-1', 'big-2', 'pi-1'].map((name, serverid) => ({ name, serverid }));
const MEMBERS = [0, 1].map((serverid) => ({ identity: idOf(`${serverid}`), serverid, volume: 'db', universe: 0 }));
const CONFIG: MirrorConfig = {
  k: 3,
  inSync: MEMBERS.map(({ identity }) => identity),
  clean: true,
  members: MEMBERS,
  voters: SERVERS.map(({ serverid }) => ({ voter: idOf('abc'[serverid] ?? ''), serverid })),
  nextVoters: null,
  sizeBytes: 4096,
  clients: null,
};

/** The last configuration of each voter, of a client that had the mirror. */
type Before = readonly { readonly node: string; readonly number: number; readonly clean: boolean }[];
type Way = Partial<Pick<MirrorSeed, 'takesOver' | 'isAutomatic'>>;

function recordsOf(before: Before): VoterRecord[] {
  return before.map(({ node, number, clean }, serverid) => {
    const term: Term = { node, number, instance: 1 };
    const stored = { term, config: { ...CONFIG, clean } };
    return { mirror: idOf('f'), name: 'db', universe: 0, voter: idOf('abc'[serverid] ?? ''), promise: term, stored } as VoterRecord;
  });
}

class Client {
  isServing = false;
  hasEnded = false;
  readonly node: string;
  private readonly membership: Membership;
  private readonly voters: VoterRecord[];
  private readonly unseen: number[];
  /** For each server: the order on its way, and its answer on the way back. */
  private readonly votes = new Map<number, { readonly order: number; readonly request: VoteRequest; answer: VoteAnswer | null }>();
  private readonly opens: { readonly identity: string; readonly server: number; readonly number: number }[] = [];

  /** `seen`: the servers that the client reaches, in this order. */
  constructor(node: string, way: Way, voters: VoterRecord[], seen: readonly number[]) {
    this.node = node;
    this.voters = voters;
    this.unseen = [...seen];
    const me = { node, instance: 2 };
    const seed = { mirror: idOf('f'), name: 'db', universe: 0, me, takesOver: false, isAutomatic: false, servers: SERVERS };
    this.membership = new Membership({ ...seed, ...way });
  }

  /** What may happen next. */
  get steps(): (() => void)[] {
    const steps = [...this.votes].map(
      ([server, { answer }]) =>
        (): void =>
          answer === null ? this.execute(server) : this.hear(server),
    );
    const [next] = this.unseen;
    if (next !== undefined)
      steps.push(() => this.on({ kind: 'server-up', server: Number(this.unseen.shift()), name: SERVERS[next]!.name }));
    if (this.opens.length > 0) steps.push(() => this.open());
    return steps;
  }

  retry(): void {
    if (this.membership.view.waitsFor !== null) this.on({ kind: 'retry' });
  }

  private on(event: MembershipEvent): void {
    for (const order of this.membership.on(event)) {
      if (order.kind === 'vote') this.votes.set(order.server, { order: order.order, request: order.request, answer: null });
      else if (order.kind === 'open') this.opens.push(order);
      else if (order.kind === 'serve') this.isServing = true;
      else if (order.kind === 'end') this.hasEnded = true;
    }
  }

  private execute(server: number): void {
    const { request } = this.votes.get(server)!;
    const record = this.voters[server]!;
    const term = { node: this.node, instance: 2, number: 'number' in request ? request.number : 0 };
    let decided: { record: VoterRecord; voted: number } = { record, voted: VOTED.DONE };
    if (request.kind === 'claim') decided = claim(record, term, request.takesOver);
    else if (request.kind === 'config') decided = store(record, term, request.config);
    this.voters[server] = decided.record;
    const { voter, promise, stored } = decided.record;
    const member = MEMBERS[server];
    const replica = { incarnation: 'x', volume: 'db', universe: 0, sizeBytes: 4096, lacksTerm: null, identity: member?.identity ?? '' };
    const shown = member === undefined || decided.voted !== VOTED.DONE ? null : replica;
    const answer = { voted: decided.voted, sentence: '', voter, promise, stored, replica: shown, keepsNotes: true };
    this.votes.get(server)!.answer = answer as unknown as VoteAnswer;
  }

  private hear(server: number): void {
    const { order, answer } = this.votes.get(server)!;
    this.votes.delete(server);
    this.on({ kind: 'voted', server, order, answer });
  }

  private open(): void {
    for (const { identity, server, number } of this.opens.splice(0)) {
      const promise = this.voters[server]?.promise;
      if (promise?.node === this.node && promise.number === number) this.on({ kind: 'opened', identity, sizeBytes: 4096 });
      else this.on({ kind: 'open-failed', identity, reason: 'taken', sentence: 'It was taken' });
    }
  }
}

function all(node: string, clean: boolean): Before {
  return SERVERS.map(() => ({ node, number: 4, clean }));
}

test.each<[string, Before, Way, Way]>([
  ['both attach automatically', all('zeus', true), { isAutomatic: true }, { isAutomatic: true }],
  ['one automatically, the other by order', all('zeus', true), { isAutomatic: true }, {}],
  ['one automatically, the other takes over', all('zeus', false), { isAutomatic: true }, { takesOver: true }],
  ['one takes over, the other automatically', all('apollo', false), { takesOver: true }, { isAutomatic: true }],
  ['one by order, the other takes over', all('zeus', false), {}, { takesOver: true }],
  ['both by order', all('zeus', true), {}, {}],
  [
    'both automatically, and the records differ',
    [...all('zeus', true).slice(1), { node: 'apollo', number: 3, clean: true }],
    { isAutomatic: true },
    { isAutomatic: true },
  ],
])('one of two clients serves: %s', (_what, before, zeus, apollo) => {
  let ended = 0;
  for (let seed = 1; seed <= PAIRS; seed++) {
    const random = new SeededRandom(seed);
    const voters = recordsOf(before);
    // In some pairs, one of the clients does not reach one of the servers.
    const away = random.chance(0.25) ? { client: random.int(0, 1), server: random.int(0, 2) } : null;
    const seen = (client: number): number[] =>
      ORDERS[random.int(0, ORDERS.length - 1)]!.filter((server) => away?.client !== client || away.server !== server);
    const clients = [new Client('zeus', zeus, voters, seen(0)), new Client('apollo', apollo, voters, seen(1))];
    for (let step = 0; step < STEPS_MAX; step++) {
      const steps = clients.flatMap((client) => client.steps);
      if (steps.length === 0) for (const client of clients) client.retry();
      else random.pick(steps)();
      if (steps.length === 0 && clients.every((client) => client.steps.length === 0)) break;
    }
    ended += clients.filter(({ hasEnded }) => hasEnded).length;
    expect(
      clients.some(({ isServing, hasEnded }) => isServing && !hasEnded),
      `seed ${seed}: nobody has the mirror`,
    ).toBe(true);
  }
  expect(ended).toBeGreaterThan(0);
});
