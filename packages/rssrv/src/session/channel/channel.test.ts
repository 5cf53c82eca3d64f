// Tests that every message which rssrv's own workers send passes unchanged, and that every other message is refused, whatever its form.
// After a refusal, the listener ends the process. A message may name only volumes that were granted to its session. Rules: G24.

import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, test } from 'vitest';
import { NO_LATENCY } from '@rsio/base/structures/latency-figures';
import { NOTHING_HELD } from '../../volumes/throttle/throttle-messages.ts';
import { VolumeUses } from '../../volumes/holds/volume-uses.ts';
import { GATE_RECORD_MAX_BYTES } from '@rsio/protocol/wire/limits';
import { checkedMessage, type FromSession, type FromWorker, parsedMessage, type SessionRequest } from './channel.ts';
import { ASKS_MAX, CHANNEL_END_MS, GATE_RECORDS_PER_SESSION_MAX } from '../limits.ts';
import { SessionGuard } from './session-guard.ts';
import { watchEnd } from './worker-wire.ts';
import { WorkerSession, type WorkerSessionPorts } from '../../server/workers/worker-session.ts';

const ID = '0f'.repeat(16);
const COUNTS = { reads: 1, readBytes: 512, writes: 0, writtenBytes: 0, flushes: 0, discards: 0, zeroes: 0, errors: 0, heldMs: 0.5 };
const NOW = { outstanding: 1, oldestMs: 1.5, waitingForSpace: 0, heldForSnapshot: 0, ...NOTHING_HELD };
const LATENCIES = { readLatency: NO_LATENCY, writeLatency: NO_LATENCY, flushLatency: NO_LATENCY };
const TERM = { mirror: ID, number: 7 };

/** At least one message of each kind: a kind without a message does not compile. */
type OfEachKind<T, K extends keyof T> = { readonly [W in T[K] & string]: readonly [OfKind<T, K, W>, ...OfKind<T, K, W>[]] };
type OfKind<T, K extends keyof T, W> = T extends unknown ? (W extends T[K] ? T : never) : never;

const REQUESTS_BY_KIND: OfEachKind<SessionRequest, 'what'> = {
  list: [{ what: 'list' }],
  files: [{ what: 'files', volumeId: 'v' }],
  grant: [
    { what: 'grant', request: { name: 'db@monday', universe: 3, readonly: true, take: 0, resume: 'identity', mirror: null } },
    { what: 'grant', request: { name: 'db', universe: 0, readonly: false, take: 1, resume: null, mirror: TERM } },
  ],
  release: [{ what: 'release', volumeId: 'v', epoch: 4 }],
  settle: [{ what: 'settle', volumeId: 'v', epoch: 4, incarnation: '' }],
  look: [{ what: 'look', poolId: 'p', generation: 7, hasFailed: true }],
  'look-age': [{ what: 'look-age', poolId: 'p', generation: 7 }],
  'record-read': [{ what: 'record-read', volumeId: 'v' }],
  'nodes-seen': [{ what: 'nodes-seen', id: 'v', nodes: ['big-2', 'big-6'] }],
  'record-write': [
    { what: 'record-write', volumeId: 'v', epoch: 4, record: Buffer.alloc(GATE_RECORD_MAX_BYTES, 0xff).toString('base64') },
    { what: 'record-write', volumeId: 'v', epoch: 4, record: '' },
  ],
  'admin-call': [{ what: 'admin-call', id: 'r1', method: 'volume-list', params: '{\n"a": "\u2028"}', withinMs: 5 }],
  'admin-rest': [{ what: 'admin-rest', answer: 1, offset: 0 }],
  vote: [
    { what: 'vote', vote: 'claim', takesOver: true, ...TERM },
    { what: 'vote', vote: 'confirm', ...TERM },
  ],
  clone: [{ what: 'clone', number: 0, volumeId: 'v', from: 0, to: 1 }],
  'older-snapshots': [{ what: 'older-snapshots', snapshotId: 's', after: null }],
  changes: [{ what: 'changes', snapshotId: 's', since: 'r', fromBytes: 0, toBytes: 512 }],
  bridge: [{ what: 'bridge', volumeId: 'v', storage: 'file 2049:17', positionBytes: 0, lengthBytes: 512 }],
  bridged: [{ what: 'bridged', volumeId: 'v' }],
};
const REQUESTS: readonly SessionRequest[] = Object.values(REQUESTS_BY_KIND).flat();
const SAID_BY_KIND: OfEachKind<FromSession, 'type'> = {
  ask: [
    { type: 'ask', number: 0, request: REQUESTS[0]! },
    ...REQUESTS.slice(1).map((request, at) => ({ type: 'ask' as const, number: at + 1, request })),
  ],
  paths: [{ type: 'paths', count: 2 }],
  quiet: [
    { type: 'quiet', quietMs: 2_600 },
    { type: 'quiet', quietMs: null },
  ],
  revoked: [{ type: 'revoked', number: 0, isFlushed: true }],
  lost: [{ type: 'lost', volumeId: 'v' }],
  cut: [{ type: 'cut', volumeId: 'v' }],
  space: [{ type: 'space', volumeId: 'v', isWaiting: true, poolId: null }],
  throttled: [
    { type: 'throttled', report: { what: 'in-force', volumeId: 'v', number: 0 } },
    { type: 'throttled', report: { what: 'used', overMs: 100, volumes: [{ volumeId: 'v', requests: 1, bytes: 512, isHungry: false }] } },
    { type: 'throttled', report: { what: 'unused', volumeId: 'v', number: -1 } },
  ],
  held: [{ type: 'held', number: 3 }],
  figures: [
    {
      type: 'figures',
      figures: {
        volumes: [{ volumeId: 'v', ...COUNTS, ...LATENCIES, ...NOW }],
        paths: [{ interface: 'if0', address: '127.0.0.1', sinceMs: 1, requests: 2, cipher: null }],
        opens: [{ name: 'db', universe: 0, waitedMs: 12.5 }],
      },
    },
  ],
  ended: [{ type: 'ended' }],
};
const SAID: readonly FromSession[] = Object.values(SAID_BY_KIND).flat();

function guardOf(uses: VolumeUses): (message: FromSession) => boolean {
  const guard = new SessionGuard(uses);
  return (message) => guard.admits(message);
}

test('what a server process sends passes as it is', () => {
  const all: FromWorker[] = [
    { type: 'ready', unprotected: ['without a filter'] },
    { type: 'pong' },
    ...SAID.map((message) => ({ type: 'session' as const, session: ID, message })),
  ];
  for (const message of all) expect(parsedMessage(JSON.stringify(message))).toEqual(message);
});

// Regression: the message `null` on the channel ended rssrv with a TypeError.
test('what is no message is refused: no object, an unknown word, a field that is missing or has another form', () => {
  const session = (message: unknown): unknown => ({ type: 'session', session: ID, message });
  const ask = (request: unknown): unknown => session({ type: 'ask', number: 0, request });
  const wrong: unknown[] = [
    ...[
      null,
      7,
      'ready',
      [],
      {},
      { type: 'exit' },
      { type: '__proto__' },
      { type: 'ready' },
      { type: 'ready', unprotected: new Array(17).fill('') },
    ],
    ...[{ type: 'session', session: 'no id', message: { type: 'ended' } }, session(null), session({ type: 'toString' })],
    ...[session({ type: 'lost' }), session({ type: 'lost', volumeId: '' }), session({ type: 'cut', volumeId: 'v'.repeat(129) })],
    ...[session({ type: 'paths', count: -1 }), session({ type: 'revoked', number: 2 ** 53, isFlushed: true })],
    ...[session({ type: 'figures', figures: { volumes: new Array(2_049).fill(null), paths: [], opens: [] } })],
    ...[ask(undefined), ask({ what: 'shell' }), ask({ what: 'grant', request: { name: '../etc', universe: 0, readonly: true } })],
    ...[
      ask({ what: 'admin-call', id: 'r', method: 'volume list', params: '', withinMs: 0 }),
      ask({ what: 'vote', vote: 'claim', mirror: ID }),
    ],
    ask({ what: 'admin-call', id: 'r', method: 'm', params: 'x'.repeat(60 * 1024 + 1), withinMs: 0 }),
    ...['a', 'aaa', '====', 'a-b_', 'AAAA\n', 'A'.repeat(81_924)].map((record) =>
      ask({ what: 'record-write', volumeId: 'v', epoch: 0, record }),
    ),
    ...[ask({ what: 'record-write', volumeId: 'v', epoch: -1, record: '' }), ask({ what: 'record-read' })],
  ];
  for (const message of wrong) expect(() => checkedMessage(message), JSON.stringify(message)?.slice(0, 200)).toThrow(/^message/);
  for (const line of ['', 'NODE_', '{', '{"type":"pong"}}']) expect(() => parsedMessage(line)).toThrow('message is not JSON');
});

// Regression: a worker stopped the volume of another client by naming its id in `cut` or `lost`.
test('a volume that the session was never granted cannot be stopped, counted or named', () => {
  const uses = new VolumeUses();
  uses.add('v');
  const admits = guardOf(uses);
  for (const message of SAID) {
    expect(admits(message), message.type).toBe(true);
    const text = JSON.stringify(message);
    if (message.type === 'ask' || !text.includes('"v"')) continue;
    expect(() => admits(JSON.parse(text.replaceAll('"v"', '"of another"')) as FromSession), text).toThrow('never granted');
  }
});

test('of a volume that the session has no more, a late failure of a sync is believed once, and nothing else counts', () => {
  const uses = new VolumeUses();
  const admits = guardOf(uses);
  uses.opens('v');
  expect(admits({ type: 'cut', volumeId: 'v' }), 'an OPEN is in progress').toBe(true);
  uses.add('v');
  uses.opened('v');
  uses.delete('v');
  const lost = { type: 'lost', volumeId: 'v' } as const;
  expect([admits(lost), admits(lost), admits({ type: 'cut', volumeId: 'v' })]).toEqual([true, false, false]);
  const space = { type: 'space', volumeId: 'v', poolId: null } as const;
  expect([admits({ ...space, isWaiting: true }), admits({ ...space, isWaiting: false })]).toEqual([false, true]);
});

test('a session has so many requests without an answer, ADMINs and VOTEs as few as its client may have', () => {
  const guard = new SessionGuard(new VolumeUses());
  const ask = (request: SessionRequest): boolean => guard.admits({ type: 'ask', number: 0, request });
  const [call, list, record] = ['admin-call', 'list', 'record-write'].map((what) => REQUESTS.find((one) => one.what === what)!) as [
    SessionRequest,
    SessionRequest,
    SessionRequest,
  ];
  for (let index = 0; index < 8; index++) ask(call);
  expect(() => ask(call)).toThrow('admin-call: more than 8 requests');
  guard.answered(call);
  guard.answered(call);
  expect(ask(call)).toBe(true);
  for (let index = 0; index < ASKS_MAX; index++) ask(list);
  expect(() => ask(list)).toThrow(`more than ${ASKS_MAX} requests`);
  for (let index = 0; index < GATE_RECORDS_PER_SESSION_MAX; index++) ask(record);
  expect(() => ask(record)).toThrow(`record-write: more than ${GATE_RECORDS_PER_SESSION_MAX} requests`);
});

test('a process that closes its channel and goes on is ended, and one that exits is not', () => {
  const clock = new FakeClock();
  const watched = (): { child: EventEmitter; wire: EventEmitter; ends: string[] } => {
    const [child, wire, ends] = [
      Object.assign(new EventEmitter(), { exitCode: null, signalCode: null }),
      new EventEmitter(),
      [] as string[],
    ];
    watchEnd(clock, child as unknown as ChildProcess, wire as unknown as Duplex, () => ends.push('closed'));
    return { child, wire, ends };
  };
  const [lives, exits, exited] = [watched(), watched(), watched()];
  Object.assign(exited.child, { exitCode: 0 });
  for (const { wire } of [lives, exits, exited]) wire.emit('close');
  exits.child.emit('exit');
  clock.advance(CHANNEL_END_MS);
  expect([lives, exits, exited].map(({ ends }) => ends)).toEqual([['closed'], [], []]);
  expect(clock.timersPending).toBe(0);
});

test('an answer to a revocation that nobody has asked for is refused, also a second one', async () => {
  const session = new WorkerSession({ send: () => undefined } as unknown as WorkerSessionPorts, ID);
  expect(() => session.receive({ type: 'revoked', number: 0, isFlushed: true })).toThrow('not asked for');
  const revoked = session.revoke('v', 1);
  session.receive({ type: 'revoked', number: 0, isFlushed: false });
  expect(await revoked).toBe(false);
  expect(() => session.receive({ type: 'revoked', number: 0, isFlushed: true })).toThrow('not asked for');
});
