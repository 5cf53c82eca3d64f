// Checks the form and the bounds of every message of a worker as strictly as those of a frame from the network. A worker reads data of
// clients, so an intruder may control it. session-guard.ts checks whether an id belongs to the session. Invariants: a checked message
// shares no object with the received message, and has only known fields; a message of another form is refused with E_PROTOCOL.

import { RsError } from '@rsio/common/lib/errors';
import { LATENCY_BUCKETS, type LatencyFigures } from '@rsio/common/structures/latency-figures';
import { PATHS_PER_TRUNK_MAX } from '@rsio/protocol/link/limits';
import {
  counter,
  flag,
  type Guard,
  integer,
  listOf,
  matching,
  milliseconds,
  name,
  orNull,
  record,
  servedName,
  text,
  token,
  universe,
} from '@rsio/protocol/wire/guards';
import {
  ADMIN_PARAMS_MAX_BYTES,
  GATE_RECORD_MAX_BYTES,
  SENTENCE_MAX_CHARS,
  SHORT_TEXT_MAX_CHARS,
  SLOTS,
  TOKEN_MAX_CHARS,
} from '@rsio/protocol/wire/limits';
import { adminId, adminRest, nodesSeen, openRequestGuard } from '@rsio/protocol/wire/message-codec';
import { voteClaim, voteConfig, voteFound, votePlace, voteRecord, voteTerm } from '@rsio/protocol/wire/mirror-codec';
import type { HeldBy, ShareUse, ThrottleReport } from '../../volumes/throttle/throttle-messages.ts';
import type { SessionFigures, VolumeFigures } from '../../volumes/statistics/volume-counters.ts';
import type { VoteRequest } from '../../mirrors/session-votes.ts';
import type { FromSession, FromWorker, SessionRequest } from './channel.ts';
import { FIGURES_VOLUMES_MAX, PATHS_CLOSING_FACTOR, UNPROTECTED_MAX } from '../limits.ts';

type Typed<T, K extends string> = T extends { readonly type: K } ? T : never;
type Asked<K extends string> = Extract<SessionRequest, { readonly what: K }>;

function wrong(field: string): never {
  throw new RsError('E_PROTOCOL', `${field} is not known`);
}

function word<const W extends string>(...words: readonly W[]): Guard<W> {
  return (value, field) => words.find((one) => one === value) ?? wrong(field);
}

/** One guard for each kind of `T`, whose field `K` holds the kind. A kind without a guard does not compile. */
type GuardsOf<T, K extends keyof T> = { readonly [W in T[K] & string]: Guard<OfKind<T, K, W>> };
/** The members of the union `T` whose field `K` may be `W`. */
type OfKind<T, K extends keyof T, W> = T extends unknown ? (W extends T[K] ? T : never) : never;

/** Returns a guard for objects of several kinds. `key` is the name of the field that holds the kind. */
function byWord<T, K extends keyof T & string>(key: K, guards: GuardsOf<T, K>): Guard<T> {
  const all: Readonly<Record<string, Guard<T>>> = guards;
  return (value, field) => {
    if (typeof value !== 'object' || value === null) return wrong(field);
    const chosen = (value as Readonly<Record<string, unknown>>)[key];
    if (typeof chosen !== 'string' || !Object.hasOwn(all, chosen)) return wrong(`${field}.${key}`);
    return all[chosen]!(value, `${field} ${chosen}`);
  };
}

const sessionId = matching(/^[0-9a-f]+$/, 2 * SHORT_TEXT_MAX_CHARS, 'a session id in hexadecimal digits');
const maybeToken = matching(/^[!-~]*$/, TOKEN_MAX_CHARS, 'printable characters without blanks');
const figure: Guard<number> = milliseconds;
/** A gate record in base64. */
const recordText = matching(
  /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
  4 * Math.ceil(GATE_RECORD_MAX_BYTES / 3),
  `base64 of at most ${GATE_RECORD_MAX_BYTES} bytes`,
);

const latency = record<LatencyFigures>({
  p50Us: figure,
  p90Us: figure,
  p99Us: figure,
  p999Us: figure,
  p9999Us: figure,
  maxUs: figure,
  sumUs: figure,
  buckets: listOf(counter, LATENCY_BUCKETS, LATENCY_BUCKETS, 'counts'),
});
const volumeFigures = record<VolumeFigures>({
  volumeId: token,
  reads: counter,
  readBytes: counter,
  writes: counter,
  writtenBytes: counter,
  flushes: counter,
  discards: counter,
  zeroes: counter,
  errors: counter,
  readLatency: latency,
  writeLatency: latency,
  flushLatency: latency,
  heldMs: figure,
  outstanding: counter,
  oldestMs: figure,
  waitingForSpace: counter,
  heldForSnapshot: counter,
  heldByLimit: counter,
  heldForMs: figure,
  heldBy: orNull<HeldBy>(word('pause', 'iops', 'bandwidth', 'client-iops', 'client-bandwidth')),
});
const figures = record<SessionFigures>({
  holesOff: flag,
  volumes: listOf(volumeFigures, 0, FIGURES_VOLUMES_MAX, 'volumes'),
  paths: listOf(
    record<SessionFigures['paths'][number]>({
      interface: name,
      address: text(SHORT_TEXT_MAX_CHARS),
      sinceMs: figure,
      requests: counter,
      cipher: orNull(text(SHORT_TEXT_MAX_CHARS)),
    }),
    0,
    PATHS_CLOSING_FACTOR * PATHS_PER_TRUNK_MAX,
    'paths',
  ),
  opens: listOf(record<SessionFigures['opens'][number]>({ name: servedName, universe, waitedMs: figure }), 0, SLOTS, 'volumes'),
});

const report = byWord<ThrottleReport, 'what'>('what', {
  'in-force': record<Extract<ThrottleReport, { what: 'in-force' }>>({ what: word('in-force'), volumeId: token, number: counter }),
  used: record<Extract<ThrottleReport, { what: 'used' }>>({
    what: word('used'),
    overMs: figure,
    volumes: listOf(
      record<ShareUse>({ volumeId: token, requests: counter, bytes: counter, isHungry: flag }),
      0,
      FIGURES_VOLUMES_MAX,
      'volumes',
    ),
  }),
  unused: record<Extract<ThrottleReport, { what: 'unused' }>>({
    what: word('unused'),
    volumeId: token,
    number: integer(-1, Number.MAX_SAFE_INTEGER),
  }),
});

type Vote<K extends VoteRequest['vote']> = OfKind<VoteRequest, 'vote', K>;

function vote<K extends VoteRequest['vote']>(kind: K, guard: Guard<Omit<Vote<K>, 'what' | 'vote'>>): Guard<Vote<K>> {
  return (value, field) => ({ what: 'vote', vote: kind, ...guard(value, field) }) as unknown as Vote<K>;
}

const votes = byWord<VoteRequest, 'vote'>('vote', {
  found: vote('found', voteFound),
  claim: vote('claim', voteClaim),
  config: vote('config', voteConfig),
  record: vote('record', voteRecord),
  place: vote('place', votePlace),
  confirm: vote('confirm', voteTerm),
  dismiss: vote('dismiss', voteTerm),
  unplace: vote('unplace', voteTerm),
});

const request = byWord<SessionRequest, 'what'>('what', {
  'admin-call': record<Asked<'admin-call'>>({
    what: word('admin-call'),
    id: adminId,
    method: adminId,
    params: matching(/^/, ADMIN_PARAMS_MAX_BYTES, `text of at most ${ADMIN_PARAMS_MAX_BYTES} characters`),
    withinMs: milliseconds,
  }),
  'admin-rest': (value, field) => ({ what: 'admin-rest', ...adminRest(value, field) }),
  vote: votes,
  clone: record<Asked<'clone'>>({ what: word('clone'), number: counter, volumeId: token, from: counter, to: counter }),
  'older-snapshots': record<Asked<'older-snapshots'>>({ what: word('older-snapshots'), snapshotId: token, after: orNull(token) }),
  changes: record<Asked<'changes'>>({
    what: word('changes'),
    snapshotId: token,
    since: token,
    fromBytes: counter,
    toBytes: counter,
  }),
  bridge: record<Asked<'bridge'>>({
    what: word('bridge'),
    volumeId: token,
    storage: text(SENTENCE_MAX_CHARS),
    positionBytes: counter,
    lengthBytes: counter,
  }),
  bridged: record<Asked<'bridged'>>({ what: word('bridged'), volumeId: token }),
  list: record<Asked<'list'>>({ what: word('list') }),
  grant: record<Asked<'grant'>>({ what: word('grant'), request: openRequestGuard }),
  files: record<Asked<'files'>>({ what: word('files'), volumeId: token }),
  release: record<Asked<'release'>>({ what: word('release'), volumeId: token, epoch: integer(-1, Number.MAX_SAFE_INTEGER) }),
  look: record<Asked<'look'>>({ what: word('look'), poolId: token, generation: counter, hasFailed: flag }),
  'look-age': record<Asked<'look-age'>>({ what: word('look-age'), poolId: token, generation: counter }),
  'record-read': record<Asked<'record-read'>>({ what: word('record-read'), volumeId: token }),
  'record-write': record<Asked<'record-write'>>({ what: word('record-write'), volumeId: token, epoch: counter, record: recordText }),
  'nodes-seen': (value, field) => ({ what: 'nodes-seen', ...nodesSeen(value, field) }),
  settle: record<Asked<'settle'>>({ what: word('settle'), volumeId: token, epoch: counter, incarnation: maybeToken }),
});

const fromSession = byWord<FromSession, 'type'>('type', {
  ask: record<Typed<FromSession, 'ask'>>({ type: word('ask'), number: counter, request }),
  paths: record<Typed<FromSession, 'paths'>>({ type: word('paths'), count: counter }),
  quiet: record<Typed<FromSession, 'quiet'>>({ type: word('quiet'), quietMs: orNull(counter) }),
  revoked: record<Typed<FromSession, 'revoked'>>({ type: word('revoked'), number: counter, isFlushed: flag }),
  lost: record<Typed<FromSession, 'lost'>>({ type: word('lost'), volumeId: token }),
  cut: record<Typed<FromSession, 'cut'>>({ type: word('cut'), volumeId: token }),
  space: record<Typed<FromSession, 'space'>>({ type: word('space'), volumeId: token, isWaiting: flag, poolId: orNull(token) }),
  throttled: record<Typed<FromSession, 'throttled'>>({ type: word('throttled'), report }),
  held: record<Typed<FromSession, 'held'>>({ type: word('held'), number: counter }),
  figures: record<Typed<FromSession, 'figures'>>({ type: word('figures'), figures }),
  ended: record<Typed<FromSession, 'ended'>>({ type: word('ended') }),
});

const fromWorker = byWord<FromWorker, 'type'>('type', {
  ready: record<Typed<FromWorker, 'ready'>>({
    type: word('ready'),
    unprotected: listOf(text(SENTENCE_MAX_CHARS), 0, UNPROTECTED_MAX, 'sentences'),
  }),
  pong: record<Typed<FromWorker, 'pong'>>({ type: word('pong') }),
  session: record<Typed<FromWorker, 'session'>>({ type: word('session'), session: sessionId, message: fromSession }),
});

/** Returns a checked copy of a message that a worker has sent. Throws E_PROTOCOL if the message has another form. */
export function checkedMessage(value: unknown): FromWorker {
  return fromWorker(value, 'message');
}

/** Returns a checked copy of a message that a worker has sent as JSON. Throws E_PROTOCOL if the message has another form. */
export function parsedMessage(line: string): FromWorker {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new RsError('E_PROTOCOL', 'message is not JSON');
  }
  return checkedMessage(value);
}
