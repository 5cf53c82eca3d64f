// THE table of the control interface: what one may ask a daemon over RUN/control, how long that may take, and the shape of what comes
// back. One JSON object per line. Request {id, method, version, params}; answer {id, version, release, result}, or error: {code, message,
// context} in place of result. rsconfig, crsio, the tests and people with `nc` use the same. docs/CONTROL.md says how it may grow.
// Times in `...Ms` are milliseconds of the wall clock since 1970, durations milliseconds or, in `...Us`, microseconds.

import { DIRECTIONS, PATH_STATES } from '../lib/path-states.ts';
import { CONTROL_ANSWER_MS, CONTROL_TIMEOUT_MS, EVENTS_KEPT, LIST_WAIT_MS } from './limits.ts';
import { count, filledText, flag, list, number, object, type Of, orNull, type Shape, text, whole, word } from './shape.ts';

/** Grows when a reader of the old one would misunderstand the new one; what is only added leaves it as it is. */
export const CONTROL_VERSION = 1;

/** What a volume that was in use comes to in an event when it is detached by force; the reason says what is lost. */
export const CUT_STATE = 'cut';

const PATH_FIELDS = {
  number: orNull(count('Number in the session; null while there is none')),
  interface: text('Name of the interface of this machine'),
  localAddress: text(),
  address: text('Of the remote end point'),
  port: count(),
  state: word(PATH_STATES),
  tx: word(DIRECTIONS, 'The direction to the server, judged apart'),
  rx: word(DIRECTIONS, 'The direction from the server'),
  sinceMs: number('When it came into this state'),
  lastError: orNull(text()),
  lastErrorMs: orNull(number()),
  retries: count('Tries since it was last up'),
  roundTripMs: orNull(number()),
} as const;

const PATH = object(PATH_FIELDS);

const HOLDER = object({ node: text(), address: text(), sinceMs: number() });

const VOLUME = object({
  name: text(),
  universe: count(),
  id: text('Two offers are one volume only if their ids are equal'),
  blocks: count(),
  blockSizeBytes: count(),
  readonly: flag(),
  shared: flag(),
  holders: list(HOLDER, 'Clients that have it attached'),
});

const SERVER = object({
  position: count('Place in order of first appearance in rscltcfg'),
  name: text(),
  sections: list(text(), 'Names of its sections in rscltcfg'),
  serverid: orNull(count(), 'null: never met'),
  instance: orNull(text()),
  state: word(['connected', 'connecting', 'down']),
  addresses: list(object({ section: text(), address: text(), port: count() })),
  limits: orNull(object({ slots: count(), windowBytes: count() })),
  volumes: list(VOLUME),
  paths: list(PATH),
});

const NAMESPACE = object({
  position: count('Place in order of first appearance in rscltcfg'),
  name: text('Label of this side'),
  namespaceid: count(),
  nodename: text('Name of this client at the servers'),
  servers: list(SERVER),
});

const ATTACHMENT = object({
  namespace: text(),
  name: text(),
  universe: count(),
  id: text('Of the content, as the server knows it'),
  byId: text('As udev would name it in /dev/disk/by-id, rsio-NAMESPACEID-ID: the same on every client, by any server, over restarts'),
  state: word(['attached', 'waiting'], 'waiting: its I/O cannot go on just now'),
  readonly: flag(),
  blocks: count(),
  blockSizeBytes: count(),
  servers: count('How many servers offer it'),
  rawDevice: orNull(text()),
  blockDevice: text('Block node, or the NBD URI where there is none'),
});

const AWAITED = object({
  namespace: text(),
  name: text(),
  universe: count(),
  id: text(),
  readonly: flag(),
  server: text('Through which it was attached'),
  reason: text('Why it is not attached again yet'),
});

const ERROR = object({ code: text('Stable: E_...'), message: text() });

const ATTACH_OUTCOME = object({
  volume: text('osl:oracle@0, or the name as it was given when it names nothing'),
  done: flag(),
  already: flag('It was so already'),
  device: orNull(text()),
  error: orNull(ERROR, 'null when it is done'),
});

const REP = object({
  ...PATH_FIELDS,
  position: count('Place of the remote end point in order of the [server] sections in rscltcfg'),
  section: text('Of rscltcfg'),
});

const INTERFACE = object({
  position: count(),
  name: text(),
  address: text(),
  port: count(),
  reps: list(REP, 'Its paths, by remote end point'),
});

export const WAITING = object({
  volume: text(),
  waitsFor: text(),
  sinceMs: number(),
  untilMs: orNull(number(), 'null: for ever'),
  requests: count(),
});

const LOG = object({
  volume: text(),
  dataBytes: count('Written and not flushed: what is sent again when the storage begins a new life'),
  rangeBytes: count('Zeroed or discarded, and not flushed'),
  usedBytes: count('Memory that this takes'),
  sizeBytes: count('Memory that it may take'),
  sinceMs: orNull(number('Nothing in it is older; null: it is empty')),
  flushedMs: orNull(number('Everything that was answered by then is flushed; null: no FLUSH was answered well yet')),
});

const STATUS = object({
  interfaces: list(INTERFACE),
  waiting: list(WAITING, 'Volumes whose I/O waits'),
  logs: list(LOG, 'Replay logs of the attached volumes; one without a log is written through'),
});

const LATENCY = object({ p50Us: number(), p99Us: number(), maxUs: number() });

const PATH_STATS = object({
  interface: text(),
  address: text('Of the remote end point'),
  port: count(),
  state: word(PATH_STATES),
  requests: count(),
  sentBytes: count(),
  receivedBytes: count(),
  unansweredBytes: count(),
  resent: count('Requests sent here after another path fell silent or died'),
  hedged: count('READs asked for here because they were late on another path'),
  probed: count('Copies sent here to see how fast the path is'),
  dropped: count('Answers that came here when the result was there already'),
  deaths: count(),
  roundTripMs: orNull(number()),
  receivingBytesPerSecond: orNull(number('How fast data comes on it, as measured; null: not yet')),
  sendingBytesPerSecond: orNull(number('How fast data goes on it, as measured; null: not yet')),
  readLatency: LATENCY,
  writeLatency: LATENCY,
});

const VOLUME_STATS = object({
  volume: text(),
  reads: count(),
  readBytes: count(),
  writes: count(),
  writtenBytes: count(),
  flushes: count(),
  discards: count(),
  zeroes: count(),
  errors: count(),
  outstanding: count(),
  readLatency: LATENCY,
  writeLatency: LATENCY,
  longestGapMs: number('Longest time without any completion while something was outstanding'),
});

const STATS = object({ paths: list(PATH_STATS), volumes: list(VOLUME_STATS) }, "Sums since the daemon's start");

const EVENT = object({ atMs: number(), object: text(), from: text(), to: text(), reason: text() });

const PROBE = object(
  {
    interface: text(),
    localAddress: text(),
    section: text('Of rscltcfg; of an interface that only the server names: SERVER-INTERFACE'),
    address: text(),
    port: count(),
    reachMs: orNull(number('Until the TCP connection stood')),
    handshakeMs: orNull(number('From there until both sides had proved themselves')),
    server: orNull(text()),
    serverid: orNull(count()),
    roundTripMs: orNull(number('Best of several')),
    sendBytesPerSecond: orNull(number()),
    receiveBytesPerSecond: orNull(number()),
    mtuBytes: orNull(count('Largest packet that is known to go through')),
    device: orNull(text('Device that has the local address')),
    leavesBy: orNull(text('Device that the bytes really went through')),
    error: orNull(ERROR, 'Why the path cannot be used'),
    remarks: list(text(), 'Sentences for people, with remedies'),
  },
  'One path, measured on a connection of its own; what is null could not be measured: error or a remark says why',
);

const LEFT_OUT = object(
  { interface: orNull(text()), section: text(), address: text(), reason: text() },
  'A pair of end points that is no path, with the reason',
);

/** Is answered whatever version is asked for, so nothing of it may ever go or change its meaning. */
const DAEMON = object({
  program: text(),
  version: text('Of the release'),
  control: count('Version of the control interface'),
  methods: list(text(), 'That it knows'),
  pid: count(),
  nodename: text(),
  startedMs: number(),
  configuredMs: number('When it read the configuration that it works with'),
});

export type PathView = Of<typeof PATH>;
export type VolumeView = Of<typeof VOLUME>;
export type ServerView = Of<typeof SERVER>;
export type NamespaceView = Of<typeof NAMESPACE>;
export type AttachmentView = Of<typeof ATTACHMENT>;
export type AwaitedView = Of<typeof AWAITED>;
export type AttachOutcome = Of<typeof ATTACH_OUTCOME>;
export type RepView = Of<typeof REP>;
export type InterfaceView = Of<typeof INTERFACE>;
export type WaitingView = Of<typeof WAITING>;
export type LogView = Of<typeof LOG>;
export type StatusView = Of<typeof STATUS>;
export type LatencyView = Of<typeof LATENCY>;
export type PathStats = Of<typeof PATH_STATS>;
export type VolumeStats = Of<typeof VOLUME_STATS>;
export type StatsView = Of<typeof STATS>;
export type EventView = Of<typeof EVENT>;
export type ProbeView = Of<typeof PROBE>;
export type LeftOutView = Of<typeof LEFT_OUT>;
export type DaemonView = Of<typeof DAEMON>;

export interface Param<T = unknown> {
  readonly shape: Shape<T>;
  /** What to give, for the sentence about a wrong one. */
  readonly what: string;
  /** What a missing key stands for; without it the key is required. */
  readonly default?: T;
}

export interface ControlMethod<P extends Readonly<Record<string, Param>> = Readonly<Record<string, Param>>, R = unknown> {
  readonly help: string;
  readonly params: P;
  readonly result: Shape<R>;
  /** When a daemon that has not answered does not answer any more. */
  readonly waitMs: number;
}

const names: Param<readonly string[]> = { shape: list(filledText()), what: 'a list of names' };
const yesNo: Param<boolean> = { shape: flag(), what: 'true or false', default: false };
const nameOrNull: Param<string | null> = { shape: orNull(filledText()), what: 'a name or null', default: null };
/** What becomes of another holder: nothing; it loses the volume; the same, whatever is lost. */
const takeWord: Param<'no' | 'over' | 'force'> = { shape: word(['no', 'over', 'force']), what: 'no, over or force', default: 'no' };
const eventCount: Param<number> = {
  shape: whole(1, EVENTS_KEPT),
  what: `a whole number from 1 to ${EVENTS_KEPT}`,
  default: EVENTS_KEPT,
};

export const CONTROL_METHODS = {
  daemon: method('Who answers, of which version, and what it knows', {}, DAEMON),
  query: method(
    'What namespaces and servers offer; with refresh the servers are asked anew',
    { refresh: yesNo },
    object({ namespaces: list(NAMESPACE) }),
    LIST_WAIT_MS + CONTROL_ANSWER_MS,
  ),
  local: method(
    'Volumes that are attached here',
    {},
    object({ attachments: list(ATTACHMENT), awaited: list(AWAITED, 'Were attached before rsiod was started anew, and will be again') }),
  ),
  attach: method(
    'Attaches volumes by name, without names all',
    { names, readOnly: yesNo, server: nameOrNull, take: takeWord },
    object({ outcomes: list(ATTACH_OUTCOME) }),
    CONTROL_TIMEOUT_MS,
  ),
  detach: method(
    'Detaches volumes by name, without names all',
    { names, force: yesNo },
    object({ outcomes: list(ATTACH_OUTCOME) }),
    CONTROL_TIMEOUT_MS,
  ),
  status: method('Interfaces, paths, and what waits', {}, STATUS),
  stats: method('Counters and latencies', {}, STATS),
  events: method('The last changes of state, oldest first', { count: eventCount }, object({ events: list(EVENT) })),
  reload: method(
    'Reads the configuration file anew; an error says why nothing of it was taken',
    {},
    object({ applied: list(text(), 'A sentence for each change') }),
  ),
  restart: method(
    'Ends this process so that its keeper starts another one, which goes on with the devices; an error says why that cannot be',
    {},
    object({}),
  ),
  stop: method('Ends rsiod; without force not while somebody uses its devices, which the error names', { force: yesNo }, object({})),
  probe: method(
    'Measures the paths of an interface (its name or address) to a server interface (name of its section, or address); null: of all',
    { interface: nameOrNull, remote: nameOrNull },
    object({ paths: list(PROBE), leftOut: list(LEFT_OUT) }),
    CONTROL_TIMEOUT_MS,
  ),
} as const;

export type ControlMethodName = keyof typeof CONTROL_METHODS;

type ParamsOf<P> = { readonly [K in keyof P]: P[K] extends Param<infer T> ? T : never };

export type ControlMethods = {
  readonly [M in ControlMethodName]: {
    readonly params: ParamsOf<(typeof CONTROL_METHODS)[M]['params']>;
    readonly result: Of<(typeof CONTROL_METHODS)[M]['result']>;
  };
};

export function isControlMethod(name: unknown): name is ControlMethodName {
  return typeof name === 'string' && Object.hasOwn(CONTROL_METHODS, name);
}

function method<const P extends Readonly<Record<string, Param>>, R>(
  help: string,
  params: P,
  result: Shape<R>,
  waitMs = CONTROL_ANSWER_MS,
): ControlMethod<P, R> {
  return { help, params, result, waitMs };
}
