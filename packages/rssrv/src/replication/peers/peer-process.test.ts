// Tests the processes of peers, as the listener sees them, with a fake process: states, calls, pulls, restarts, wrong messages and reloads.
// A real process is tested in test/integration/peers.test.ts.

import type { PeerConfig } from '@rsio/common/config/schema/types';
import type { ChildEvents } from '@rsio/base/lib/watched-child';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { quietLog } from '@rsio/base/log/log';
import { beforeEach, describe, expect, test } from 'vitest';
import {
  CALLS_PER_PEER_MAX,
  PEER_ANSWER_GRACE_MS,
  PEER_RELEASE_AFTER_MS,
  PEER_RESTART_MAX_MS,
  PEER_RESTART_MIN_MS,
  PEER_SETTLED_MS,
  PEER_STOP_MS,
  PULL_CANCEL_MS,
  PULLS_PER_PEER_MAX,
} from '../limits.ts';
import { type FromPeer, messageToPeer, type ToPeer } from './messages.ts';
import { isSameSnapshot, type OpenSnapshot } from './open-snapshots.ts';
import { peerHandlers } from '../peer-handlers.ts';
import { PeerProcesses } from './peer-processes.ts';
import type { Pull, PullProgress } from './peers.ts';

const PEER: PeerConfig = {
  name: 'oslo-1',
  addresses: [{ address: '10.0.0.5', port: 5000 }],
  namespaceid: 200,
  nodename: 'big-9',
  nodekey: 'k'.repeat(20),
  serverkey: null,
  tls: false,
  digest: false,
  pools: null,
  line: 3,
};
const PULL: Pull = {
  volume: { name: 'db', universe: 0 },
  snapshot: { name: 's1', id: 'i1' },
  since: null,
  isCompared: false,
  file: '/pool/f',
  sizeBytes: 4096,
  fromBytes: 512,
  limitBytes: null,
};
const UP = { type: 'state', pathsUp: 1, isConnected: true, trouble: null } as const;

class FakeChild {
  readonly pid: number;
  readonly sent: ToPeer[] = [];
  killed = 0;
  private readonly events: ChildEvents;

  constructor(pid: number, events: ChildEvents) {
    this.pid = pid;
    this.events = events;
  }

  send(message: ToPeer): void {
    // As the channel does it.
    this.sent.push(messageToPeer(JSON.parse(JSON.stringify(message))));
  }

  kill(): void {
    this.killed++;
  }

  says(message: FromPeer): void {
    this.events.message(message);
  }

  saysAnything(message: unknown): void {
    this.events.message(message);
  }

  exits(how = 'exit code 1'): void {
    this.events.exited(how);
  }

  last<T extends ToPeer['type']>(type: T): Extract<ToPeer, { type: T }> {
    return this.sent.findLast((one): one is Extract<ToPeer, { type: T }> => one.type === type)!;
  }
}

let clock: FakeClock;
let children: FakeChild[] = [];
let recorded: string[] = [];
/** The snapshots that may be open, as the file has them. */
let open: OpenSnapshot[] = [];
let peers: PeerProcesses;
let connections = 0;
/** Names of peers that are for another owner of a shared pool. */
let away: readonly string[] = [];

beforeEach(() => {
  clock = new FakeClock();
  [children, recorded, open, connections, away] = [[], [], [], 0, []];
  let instance = 0;
  peers = new PeerProcesses({
    clock,
    log: quietLog,
    instance: 'own',
    unit: () => 0.5,
    note: (_, write) => write(),
    connected: () => void connections++,
    here: (all) => all.filter(({ name }) => !away.includes(name)),
    opens: {
      add: async (one) => void open.push(one),
      remove: async (one) => void (open = open.filter((other) => !isSameSnapshot(one, other))),
      of: async (peer) => open.filter((one) => one.peer === peer),
    },
    identity: async () => ({ machine: 'm', boot: 'b', process: 'p', instance: ++instance, dataProcess: 0 }),
    spawn: (events) => {
      const child = new FakeChild(100 + children.length, events);
      children.push(child);
      return child;
    },
    started: async (pid) => void recorded.push(`+${pid}`),
    ended: async (pid) => void recorded.push(`-${pid}`),
  });
});

/** Waits for promises. */
async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100 && !condition(); turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(condition()).toBe(true);
}

async function started(count = 1): Promise<FakeChild> {
  await until(() => (children[count - 1]?.sent.length ?? 0) > 0);
  return children[count - 1]!;
}

async function connected(): Promise<FakeChild> {
  peers.follow([PEER]);
  const child = await started();
  child.says(UP);
  return child;
}

/** Waits for a message to the process. */
async function sent<T extends ToPeer['type']>(child: FakeChild, type: T): Promise<Extract<ToPeer, { type: T }>> {
  await until(() => child.last(type) !== undefined);
  return child.last(type);
}

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'none',
    (error: { code: string }) => error.code,
  );
const never = new AbortController().signal;

describe('the process of a peer', () => {
  test('gets its connection with an identity that grows, and is shown', async () => {
    const child = await connected();
    expect(child.last('begin')).toMatchObject({
      connection: { name: 'oslo-1', nodekey: PEER.nodekey },
      identity: { instance: 1 },
      instance: 'own',
    });
    expect(recorded).toEqual(['+100']);
    child.says({ ...UP, pathsUp: 2 });
    child.says(UP);
    expect(connections).toBe(1);
    expect(peers.states).toEqual([{ name: 'oslo-1', isConnected: true, pathsUp: 1, sinceMs: clock.wallMs(), trouble: null }]);
    const answer = await peerHandlers(peers, [PEER], [])['peer-list']({});
    expect(answer).toEqual({ peers: [{ ...peers.states[0], addresses: ['10.0.0.5:5000'] }] });
    expect(JSON.stringify(answer)).not.toContain(PEER.nodekey);
  });

  test('is started again after growing waits, as the same instance', async () => {
    const child = await connected();
    const call = codeOf(peers.call('oslo-1', 'daemon', {}, 1_000));
    const pull = codeOf(peers.pull('oslo-1', PULL, () => undefined, never));
    child.exits('signal SIGKILL');
    expect([await call, await pull]).toEqual(['E_UNREACHABLE', 'E_UNREACHABLE']);
    await until(() => peers.state('oslo-1')?.trouble !== null);
    expect(peers.state('oslo-1')).toMatchObject({ isConnected: false, pathsUp: 0, trouble: expect.stringContaining('signal SIGKILL') });
    expect(await codeOf(peers.pull('oslo-1', PULL, () => undefined, never))).toBe('E_UNREACHABLE');
    clock.advance(PEER_RESTART_MIN_MS);
    const second = await started(2);
    expect(second.last('begin').identity).toEqual(child.last('begin').identity);
    for (let exits = 0; exits < 20; exits++) {
      const before = children.length;
      children.at(-1)!.exits();
      await until(() => clock.timersPending === 1);
      clock.advance(PEER_RESTART_MAX_MS);
      await started(before + 1);
    }
    const last = children.length;
    children.at(-1)!.exits();
    await until(() => clock.timersPending === 1);
    clock.advance(PEER_RESTART_MAX_MS / 2);
    expect(children).toHaveLength(last);
    expect(recorded.slice(0, 3)).toEqual(['+100', '-100', '+101']);
  });

  test.each([
    ['after a connection that has lasted, the waits begin again', true, PEER_SETTLED_MS, '175ms'],
    ['after a short connection, the waits go on growing', true, PEER_SETTLED_MS - 1, '26250ms'],
    ['without a connection, the waits go on growing', false, 2 * PEER_RESTART_MAX_MS, '26250ms'],
  ])('%s', async (_, isConnected, lastsMs, wait) => {
    peers.follow([PEER]);
    await started();
    for (let exits = 0; exits < 12; exits++) {
      children.at(-1)!.exits();
      await until(() => clock.timersPending === 1);
      clock.advance(PEER_RESTART_MAX_MS);
      await started(exits + 2);
    }
    if (isConnected) children.at(-1)!.says(UP);
    clock.advance(lastsMs);
    children.at(-1)!.exits('signal SIGKILL');
    await until(() => peers.state('oslo-1')?.trouble?.includes('SIGKILL') === true);
    expect(peers.state('oslo-1')?.trouble).toContain(`begins again in ${wait}:`);
  });

  test('answers calls, within bounds', async () => {
    const child = await connected();
    const call = peers.call('oslo-1', 'daemon', { a: 1 }, 1_000);
    const { number } = child.last('call');
    expect(child.last('call')).toEqual({ type: 'call', number, method: 'daemon', params: { a: 1 }, withinMs: 1_000 });
    child.says({ type: 'answer', number, result: '{"b":2}', error: null });
    expect(await call).toEqual({ b: 2 });
    child.says({ type: 'answer', number, result: '{}', error: null });
    const refused = peers.call('oslo-1', 'x', {}, 1_000);
    child.says({
      type: 'answer',
      number: child.last('call').number,
      result: null,
      error: { code: 'E_TIMEOUT', message: 'm', isOutcomeUnknown: true },
    });
    await expect(refused).rejects.toMatchObject({ code: 'E_TIMEOUT', message: 'm', context: { isOutcomeUnknown: true } });
    const many = Array.from({ length: CALLS_PER_PEER_MAX }, () => codeOf(peers.call('oslo-1', 'x', {}, 1_000)));
    expect(await codeOf(peers.call('oslo-1', 'x', {}, 1_000))).toBe('E_LIMIT');
    clock.advance(1_000 + PEER_ANSWER_GRACE_MS);
    expect(new Set(await Promise.all(many))).toEqual(new Set(['E_TIMEOUT']));
    child.says({ ...UP, pathsUp: 0, isConnected: false, trouble: 'no route' });
    await expect(peers.call('oslo-1', 'x', {}, 1_000)).rejects.toMatchObject({
      code: 'E_UNREACHABLE',
      message: expect.stringMatching(/no route$/),
    });
    expect(await codeOf(peers.call('nobody', 'x', {}, 1_000))).toBe('E_UNREACHABLE');
  });

  test('pulls, and reports positions', async () => {
    const child = await connected();
    const progress: PullProgress[] = [];
    const pull = peers.pull('oslo-1', PULL, (one) => progress.push(one), never);
    const { number } = await sent(child, 'pull');
    child.says({ type: 'progress', number, positionBytes: 1024, doneBytes: 5, totalBytes: 9 });
    child.says({ type: 'ended', number, error: null });
    await pull;
    expect(progress).toEqual([{ positionBytes: 1024, doneBytes: 5, totalBytes: 9 }]);
    const many = Array.from({ length: PULLS_PER_PEER_MAX }, () => codeOf(peers.pull('oslo-1', PULL, () => undefined, never)));
    expect(await codeOf(peers.pull('oslo-1', PULL, () => undefined, never))).toBe('E_LIMIT');
    expect(await codeOf(peers.pull('oslo-1', { ...PULL, file: 'f' }, () => undefined, never))).toBe('E_INTERNAL');
    child.exits();
    expect(new Set(await Promise.all(many))).toEqual(new Set(['E_UNREACHABLE']));
  });

  test('is killed if a cancelled pull does not stop, and the pull ends only then', async () => {
    const child = await connected();
    const [cancel, aborted] = [new AbortController(), new AbortController()];
    aborted.abort();
    expect(await codeOf(peers.pull('oslo-1', PULL, () => undefined, aborted.signal))).toBe('E_RESET');
    let code = '';
    const pull = codeOf(peers.pull('oslo-1', PULL, () => undefined, cancel.signal)).then((one) => (code = one));
    const { number } = await sent(child, 'pull');
    cancel.abort();
    expect(child.last('cancel').number).toBe(number);
    clock.advance(PULL_CANCEL_MS);
    await until(() => child.killed === 1);
    expect(code).toBe('');
    child.exits('signal SIGKILL');
    expect(await pull).toBe('E_UNREACHABLE');
  });

  test.each<[string, unknown]>([
    ['another form', { type: 'state', pathsUp: 'many' }],
    ['an unknown field', { ...UP, more: 1 }],
    ['a position that goes back', { type: 'progress', number: 1, positionBytes: 0, doneBytes: 0, totalBytes: 0 }],
    ['a position beyond the end', { type: 'progress', number: 1, positionBytes: 8192, doneBytes: 0, totalBytes: 0 }],
    ['more done than there is', { type: 'progress', number: 1, positionBytes: 512, doneBytes: 2, totalBytes: 1 }],
    ['an answer that is no JSON', { type: 'answer', number: 9, result: '{', error: null }],
    ['an unknown code', { type: 'ended', number: 1, error: { code: 'E_X', message: '', isOutcomeUnknown: null } }],
  ])('is killed for %s', async (_, message) => {
    const child = await connected();
    void codeOf(peers.pull('oslo-1', PULL, () => undefined, never));
    await sent(child, 'pull');
    child.saysAnything(message);
    expect(child.killed).toBe(1);
  });
});

describe('snapshots that may be open', () => {
  const place = { peer: 'oslo-1', name: 'db@s1', universe: 0 };
  const pullOf = async (child: FakeChild): Promise<number> => {
    void codeOf(peers.pull('oslo-1', PULL, () => undefined, never));
    await until(() => child.sent.at(-1)?.type === 'pull');
    return child.last('pull').number;
  };

  test('are in the file before the pull begins, until they are released', async () => {
    const child = await connected();
    const number = await pullOf(child);
    expect(open).toEqual([place]);
    child.says({ type: 'ended', number, error: null });
    expect(open).toEqual([place]);
    // A later pull of the same snapshot keeps it there.
    const second = await pullOf(child);
    child.says({ type: 'released', number, isReleased: true });
    await until(() => open.length > 0);
    child.says({ type: 'released', number: second, isReleased: true });
    await until(() => open.length === 0);
  });

  test('are closed by the next process, unless a pull has opened them again', async () => {
    const child = await connected();
    await pullOf(child);
    open.push({ ...place, name: 'db@s2' }, { ...place, peer: 'oslo-2' });
    child.exits();
    await until(() => peers.state('oslo-1')?.trouble !== null);
    clock.advance(PEER_RESTART_MIN_MS);
    const next = await started(2);
    next.says(UP);
    await pullOf(next);
    clock.advance(PEER_RELEASE_AFTER_MS);
    expect(await sent(next, 'release')).toMatchObject({ name: 'db@s2', universe: 0 });
    expect(next.sent.filter(({ type }) => type === 'release')).toHaveLength(1);
    const { number } = next.last('release');
    next.says({ type: 'released', number, isReleased: false });
    expect(open.map(({ name }) => name)).toContain('db@s2');
    // It is tried again after the next connection.
    next.says({ ...UP, isConnected: false });
    next.says(UP);
    clock.advance(PEER_RELEASE_AFTER_MS);
    await until(() => next.last('release').number !== number);
    next.says({ type: 'released', number: next.last('release').number, isReleased: true });
    await until(() => !open.some(({ name }) => name === 'db@s2'));
  });
});

test('what is left open at another peer is closed at the peer that has its pool now', async () => {
  const child = await connected();
  clock.advance(PEER_RELEASE_AFTER_MS);
  open.push({ peer: 'oslo-2', name: 'db@s1', universe: 0 });
  await peers.closeLeft('oslo-1', 'oslo-2');
  clock.advance(PEER_RELEASE_AFTER_MS);
  expect(await sent(child, 'release')).toMatchObject({ name: 'db@s1', universe: 0 });
  child.says({ type: 'released', number: child.last('release').number, isReleased: true });
  // The other peer may have the snapshot as well, if its pool comes back.
  await until(() => open.length === 1 && open[0]?.peer === 'oslo-2');
});

describe('a reload', () => {
  test('keeps the process of a peer whose connection is the same', async () => {
    const child = await connected();
    peers.follow([{ ...PEER, pools: ['fast'], line: 9 }]);
    expect(child.sent.map(({ type }) => type)).toEqual(['begin']);
  });

  test('ends the process of a changed peer before the next one starts', async () => {
    const child = await connected();
    peers.follow([{ ...PEER, nodekey: 'other-key-of-20-chars' }]);
    expect(child.sent.at(-1)).toEqual({ type: 'end' });
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(children).toHaveLength(1);
    child.exits('exit code 0');
    expect((await started(2)).last('begin').connection.nodekey).toBe('other-key-of-20-chars');
  });

  const instances = (): readonly string[] =>
    children.map(({ sent: [begin] }) => {
      if (begin?.type !== 'begin') throw new Error('A process got no identity');
      return `${begin.connection.name} ${begin.identity.instance}`;
    });

  test('keeps one instance for all peers with one name of this server, and makes another one when a connection begins again', async () => {
    const second = { ...PEER, name: 'oslo-2' };
    const other = { ...PEER, name: 'bergen', nodename: 'other' };
    peers.follow([PEER, other]);
    await started(2);
    // A new peer gets the instance that the others have.
    peers.follow([PEER, other, second]);
    await started(3);
    expect(instances()).toEqual(['oslo-1 1', 'bergen 2', 'oslo-2 1']);
    // The peers with this name begin again, because servers of a farm refuse an earlier instance when they exchange a pool.
    peers.follow([{ ...PEER, addresses: [{ address: '10.0.0.6', port: 5000 }] }, other, second]);
    children[0]!.exits();
    children[2]!.exits();
    await started(5);
    expect(instances().slice(3).toSorted()).toEqual(['oslo-1 3', 'oslo-2 3']);
    // A peer that was for another owner of a pool for a time knows that one by the name.
    away = ['oslo-1'];
    peers.follow([PEER, other, second]);
    const index = children.findIndex(({ sent: [begin] }, at) => at >= 3 && begin?.type === 'begin' && begin.connection.name === 'oslo-1');
    children[index]!.exits();
    away = [];
    peers.follow([PEER, other, second]);
    for (const child of children.slice(3)) if (child !== children[index]) child.exits();
    await started(7);
    expect(instances().slice(5).toSorted()).toEqual(['oslo-1 4', 'oslo-2 4']);
  });

  test('removes a peer, and kills a process that does not end', async () => {
    const child = await connected();
    peers.follow([]);
    expect([peers.states, peers.state('oslo-1')]).toEqual([[], null]);
    clock.advance(PEER_STOP_MS);
    expect(child.killed).toBe(1);
    child.exits('signal SIGKILL');
    await peers.stop();
    expect(recorded).toEqual(['+100', '-100']);
    expect(clock.timersPending).toBe(0);
    peers.follow([PEER]);
    expect(peers.states).toEqual([]);
  });
});
