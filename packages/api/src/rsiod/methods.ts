// Contains the table of rsiod's control interface: the requests that rsiod accepts on its control socket, how long each request may take,
// and the shapes of the results. The table of rssrv is in rssrv/server-methods.ts. Requests and answers are JSON objects, one per line. A
// request has the form {id, method, version, params}. An answer has the form {id, version, release, result}; if the request failed, `error:
// {code, message, context}` replaces `result`. The rules for changing the interface are in docs/CONTROL.md. Points in time are in
// wall-clock milliseconds since 1970 (suffix Ms). Durations are in milliseconds (suffix Ms) or microseconds (suffix Us).

import { clientMethod } from './client-method.ts';
import { DIRECTIONS, PATH_STATES } from '@rsio/base/lib/path-states';
import { CONTROL_ANSWER_MS, CONTROL_TIMEOUT_MS, LIST_WAIT_MS, SERVER_CALL_MS, SERVER_CHANGE_MS } from '@rsio/common/control/limits';
import { LATENCY } from '../views/latency-shape.ts';
import { MESSAGE_METHODS } from './message-methods.ts';
import { ATTACHED_MIRROR } from '../views/mirror-views.ts';
import { COMMAND_WORKS, PROGRESS } from '../views/views.ts';
import { MIRROR_METHODS } from './mirror-methods.ts';
import { NOTE_METHODS } from './note-methods.ts';
import { DAEMON, EVENTS_PARAMS, EVENTS_RESULT, flagParam, HOLDER, type MethodsOf, type Param } from '@rsio/common/control/method-table';
import { count, filledText, flag, list, number, object, type Of, optional, orNull, record, text, whole, word } from '@rsio/base/lib/shape';

/** Largest process id of Linux. */
const PID_MAX = 2 ** 22;

/** State of an event about a volume that was detached by force while in use. The event's reason names the lost data. */
export const CUT_STATE = 'cut';

const PATH_FIELDS = {
  number: orNull(count('Number in the session; null: it has none yet')),
  interface: text('Name of the interface of this machine'),
  localAddress: text(),
  address: text('Address of the remote endpoint'),
  port: count(),
  state: word(PATH_STATES),
  tx: word(DIRECTIONS, 'The direction to the server, judged separately'),
  rx: word(DIRECTIONS, 'The direction from the server'),
  sinceMs: number('When the path entered this state'),
  lastError: orNull(text()),
  lastErrorMs: orNull(number()),
  retries: count('Attempts since it was last up'),
  roundTripMs: orNull(number()),
  cipher: orNull(text('Cipher suite of TLS; null: the path is plain or not connected')),
  tls: flag('rscltcfg has tls = on for this path; it applies to each new connection'),
} as const;

const PATH = object(PATH_FIELDS);

const GATE_FIGURES = object({
  connections: count(),
  commands: count('Commands of hosts that have arrived'),
  receivedBytes: count(),
  sentBytes: count(),
  waiting: count('Commands that wait for memory'),
  waitedMs: number('For how long one has waited; 0: none does'),
  refused: count('Connections that were refused, or ended without a login'),
  cut: count('Connections that were closed unread, because their hosts may have given them up'),
});
export type GateFigures = Of<typeof GATE_FIGURES>;

export const GATE = object({
  name: text(),
  protocol: word(['nvme', 'iscsi'], 'What its hosts speak'),
  nqn: text('Name for hosts: the NQN of the subsystem, or the IQN of the target'),
  addresses: list(text(), 'As in rscltcfg'),
  listening: list(text(), 'Those of the addresses at which rsiod listens now'),
  trouble: orNull(text('Why no host can log in, whatever the address')),
  hosts: list(text(), 'NQNs or IQNs of the hosts that have logged in'),
  authenticates: flag('Hosts have to prove that they have a secret'),
  tls: flag('Hosts have to use TLS'),
  member: orNull(count('Number among the gates of the same name on several machines; null if it is the only one')),
  volumes: list(
    object({
      nsid: count('Namespace id for hosts, or the number of the logical unit'),
      label: text('Such as osl:oracle@0'),
      sizeBytes: count(),
      state: word(
        ['active', 'standby', 'switching', 'waiting'],
        'Whether the gate has the volume, waits until hosts ask for it, takes it over, or waits before it tries again or for a path',
      ),
      why: orNull(text('Why the gate has not got the volume at its last attempt')),
    }),
  ),
  figures: GATE_FIGURES,
});
export type GateView = Of<typeof GATE>;

const AOE_VOLUME = object({
  slot: count('Second part of its address, SHELF.SLOT'),
  label: text('Such as osl:oracle@0'),
  sizeBytes: count(),
  readonly: flag('Hosts cannot write it'),
  config: text('Config string that a host has set'),
  masks: list(text(), 'MAC addresses of the hosts that get answers, as a host has set them; empty: all that the gate admits'),
  reserved: list(text(), 'MAC addresses of the hosts that have reserved it'),
});

export const AOE_GATE = object({
  name: text(),
  interface: text('Network interface of this machine'),
  shelf: count('First part of the addresses of its volumes'),
  writes: word(['off', 'unsafe'], 'unsafe: hosts can write, and a delayed frame can revert a block'),
  mac: orNull(text('MAC address of the interface; null: the gate does not answer now')),
  dataBytes: orNull(count('Most data in one frame')),
  trouble: orNull(text('Why the gate does not answer')),
  hosts: list(text(), 'MAC addresses of the hosts that have read or written in the last minute'),
  volumes: list(AOE_VOLUME),
  figures: object({
    commands: count('Commands of hosts that have arrived'),
    answers: count(),
    late: count('Write frames that were dropped because the kernel had received them too long ago'),
    dropped: count('Commands without an answer, because bounds were reached'),
    waiting: count('Commands that volumes have now'),
    receivedBytes: count(),
    sentBytes: count(),
    cut: count('How often everything that had arrived was dropped, because rsiod stood still or the clock was set'),
  }),
});
export type AoeGateView = Of<typeof AOE_GATE>;

const VOLUME = object({
  name: text(),
  universe: count(),
  id: text('Two offers are the same volume only if their ids are equal'),
  blocks: count(),
  blockSizeBytes: count(),
  readonly: flag(),
  shared: flag(),
  holders: list(HOLDER, 'Clients that hold it'),
  mirror: orNull(text('Id of the mirror of which it is a replica'), 'null: it is a plain volume'),
  follows: orNull(text('Server that it follows, or to which it is being handed over'), 'null: a client can attach it'),
});

const SERVER = object({
  position: count('Place in order of first appearance in rscltcfg'),
  name: text(),
  sections: list(text(), 'Names of its sections in rscltcfg'),
  serverid: orNull(count(), 'null: never connected'),
  instance: orNull(text()),
  release: orNull(text(), 'Release of the server; null: not connected, or older than 0.2.0'),
  clockOffMs: orNull(number(), 'By how much the clock of the server was ahead of the clock of this machine when the session began'),
  state: word(['connected', 'connecting', 'down']),
  addresses: list(object({ section: text(), address: text(), port: count() })),
  limits: orNull(object({ slots: count(), windowBytes: count() })),
  volumes: list(VOLUME),
  paths: list(PATH),
});

const NAMESPACE = object({
  position: count('Place in order of first appearance in rscltcfg'),
  name: text('Name in the local configuration'),
  namespaceid: count(),
  nodename: text('Name of this client on the servers'),
  servers: list(SERVER),
  /** Missing if there are none, and before release 0.3.0. */
  copies: optional(
    list(object({ volume: text(), why: text() }), 'Volumes that may be copies, so that they are attached only with --server'),
  ),
});

const ATTACHMENT = object({
  namespace: text(),
  name: text(),
  universe: count(),
  id: text('Identity of the content, from the server'),
  byId: text(
    'Name as udev would give it in /dev/disk/by-id, rsio-NAMESPACEID-ID: the same on every client, through any server, after restarts',
  ),
  state: word(['attached', 'waiting'], 'waiting: its I/O is stalled'),
  readonly: flag(),
  shared: flag('Other clients may write to it at the same time'),
  blocks: count(),
  blockSizeBytes: count(),
  servers: count('How many servers offer it'),
  /** Missing before release 0.3.0. */
  sharedPool: optional(flag('Its pool lies on a shared disk, so that several servers can serve it')),
  rawDevice: orNull(text()),
  blockDevice: text('Path of the block device, or the NBD URI if there is no block device'),
  /** Missing before release 0.3.0. */
  gates: optional(
    list(
      object({ gate: text(), protocol: word(['nvme', 'iscsi']), nsid: count('Namespace id for hosts, or the number of the logical unit') }),
      'Gates at which hosts find it',
    ),
  ),
});

const AWAITED = object({
  namespace: text(),
  name: text(),
  universe: count(),
  id: text(),
  readonly: flag(),
  server: text('Server through which it was attached'),
  reason: text('Why it is not attached again yet'),
});

const ERROR = object({ code: text('Stable: E_...'), message: text() });

const ATTACH_OUTCOME = object({
  volume: text('osl:oracle@0, or the given name if there is no such volume'),
  done: flag(),
  already: flag('It was attached, or detached, already'),
  device: orNull(text()),
  error: orNull(ERROR, 'null when it is done'),
});

const REP = object({
  ...PATH_FIELDS,
  position: count('Position of the remote endpoint in the order of the [server] sections of rscltcfg'),
  section: text('Section of rscltcfg'),
});

const INTERFACE = object({
  position: count(),
  name: text(),
  address: text(),
  port: count(),
  reps: list(REP, 'Its paths, by remote endpoint'),
});

export const WAITING = object({
  volume: text(),
  waitsFor: text(),
  sinceMs: number(),
  untilMs: orNull(number(), 'null: forever'),
  requests: count(),
});

const LOG = object({
  volume: text(),
  dataBytes: count('Written and not flushed: sent again if the storage starts a new incarnation'),
  rangeBytes: count('Zeroed or discarded and not flushed'),
  usedBytes: count('Memory in use'),
  sizeBytes: count('Memory that may be used'),
  sinceMs: orNull(number('Earliest possible submission time of its oldest entry; null: the log is empty')),
  flushedMs: orNull(number('All requests that were answered before this time are flushed; null: no FLUSH has succeeded yet')),
});

const PROCESS = object({
  number: count(),
  pid: orNull(count(), 'null: it is being started again'),
  volumes: count('Volumes that it has, or will attach again'),
  restarts: count('How often it was started again'),
});

const STATUS = object({
  interfaces: list(INTERFACE),
  waiting: list(WAITING, 'Volumes whose I/O is stalled'),
  logs: list(LOG, 'Replay logs of the attached volumes; a volume without a log is written through'),
  mirrors: list(ATTACHED_MIRROR, 'Mirrors that are attached'),
  /** Missing if rsiod itself has the volumes: with `processes = 1`, and before release 0.3.0. */
  processes: optional(list(PROCESS)),
  /** Volumes that were attached before and wait to be attached again. Missing before release 0.3.0. */
  awaited: optional(list(AWAITED)),
});

export const PATH_STATS = object({
  interface: text(),
  address: text('Address of the remote endpoint'),
  port: count(),
  state: word(PATH_STATES),
  requests: count(),
  sentBytes: count(),
  receivedBytes: count(),
  unansweredBytes: count(),
  resent: count('Requests sent here because another path was silent or had failed'),
  hedged: count('READs sent here because they were late on another path'),
  probed: count('Copies sent here to measure the rate of the path'),
  dropped: count('Answers received here after the result had arrived on another path'),
  deaths: count(),
  roundTripMs: orNull(number()),
  receivingBytesPerSecond: orNull(number('Measured rate of received data; null: not measured yet')),
  sendingBytesPerSecond: orNull(number('Measured rate of sent data; null: not measured yet')),
  readLatency: LATENCY,
  writeLatency: LATENCY,
});

export const VOLUME_STATS = object({
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
  flushLatency: LATENCY,
  longestGapMs: number('Longest time without a completion while requests were outstanding'),
});

const STATS = object({ paths: list(PATH_STATS), volumes: list(VOLUME_STATS) }, "Sums since the daemon's start");

export const BACKUP = object({
  namespace: text(),
  name: text(),
  universe: count(),
  snapshot: text('Name of the snapshot that was copied'),
  atMs: number('When the backup was complete'),
});

const PROBE = object(
  {
    interface: text(),
    localAddress: text(),
    section: text('Section of rscltcfg; for an interface that only the server names: SERVER-INTERFACE'),
    address: text(),
    port: count(),
    reachMs: orNull(number('Time until TCP was connected')),
    handshakeMs: orNull(number('Time from the TCP connection until both sides had proved their identity')),
    server: orNull(text()),
    serverid: orNull(count()),
    roundTripMs: orNull(number('The shortest of several round trips')),
    sendBytesPerSecond: orNull(number()),
    receiveBytesPerSecond: orNull(number()),
    mtuBytes: orNull(count('Largest packet that is known to get through')),
    device: orNull(text('Device with the local address')),
    leavesBy: orNull(text('Device through which the data really left')),
    error: orNull(ERROR, 'Why the path cannot be used'),
    remarks: list(text(), 'Sentences for people, with remedies'),
  },
  'One path, measured on a separate connection. A value that could not be measured is null, and error or a remark says why',
);

const LEFT_OUT = object(
  { interface: orNull(text()), section: text(), address: text(), reason: text() },
  'A pair of endpoints that is not a path, with the reason',
);

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
export type ProcessView = Of<typeof PROCESS>;
export type LogView = Of<typeof LOG>;
export type StatusView = Of<typeof STATUS>;
export type LatencyView = Of<typeof LATENCY>;
export type PathStats = Of<typeof PATH_STATS>;
export type VolumeStats = Of<typeof VOLUME_STATS>;
export type StatsView = Of<typeof STATS>;
export type ProbeView = Of<typeof PROBE>;
export type LeftOutView = Of<typeof LEFT_OUT>;
export type BackupView = Of<typeof BACKUP>;
export type DaemonView = Of<typeof DAEMON>;

const names: Param<readonly string[]> = { shape: list(filledText()), what: 'a list of names' };
const nameOrNull: Param<string | null> = { shape: orNull(filledText()), what: 'a name or null', default: null };
/**
 * What happens if another client holds the volume. `no`: the volume is not taken over. `over`: the volume is taken over if no acknowledged
 * write of the holder is lost. `force`: the volume is taken over even if writes of the holder are lost.
 */
const takeWord: Param<'no' | 'over' | 'force'> = { shape: word(['no', 'over', 'force']), what: 'no, over or force', default: 'no' };
/** A name of `person` is that of everybody who gives none. */
const ownerName: Param<string | undefined> = { shape: filledText(), what: 'the name of a program', default: 'person' };
const ownerOrNull: Param<string | null | undefined> = {
  shape: orNull(filledText()),
  what: 'the name of a program, which then leaves a volume to its other owners, or null',
  default: null,
};
const serverName: Param<string> = { shape: filledText(), what: 'the name of a server' };
const namespaceName: Param<string> = { shape: filledText(), what: 'the name of a namespace' };

export const CONTROL_METHODS = {
  daemon: clientMethod({
    help: 'The daemon that answers, its version and its methods',
    effect: 'reads',
    params: {},
    result: DAEMON,
    command: { partOf: 'doctor' },
  }),
  query: clientMethod({
    help: 'The namespaces with their servers, and the volumes that the servers offer; with refresh, rsiod asks the servers again',
    effect: 'reads',
    params: { refresh: flagParam },
    result: object({ namespaces: list(NAMESPACE) }),
    waitMs: LIST_WAIT_MS + CONTROL_ANSWER_MS,
    command: { byHand: '-q', because: '-v shows more' },
  }),
  local: clientMethod({
    help: 'Volumes attached on this machine; with orders, also those that only an order has',
    effect: 'reads',
    params: { orders: flagParam as Param<boolean | undefined> },
    result: object({
      attachments: list(ATTACHMENT),
      awaited: list(AWAITED, 'Volumes that were attached before rsiod restarted and will be attached again'),
    }),
    command: { byHand: '-l', because: '-v shows more' },
  }),
  attach: clientMethod({
    help: 'Attaches volumes by name; without names, all',
    effect: 'operates',
    params: { names, readOnly: flagParam, server: nameOrNull, take: takeWord, owner: ownerName },
    result: object({ outcomes: list(ATTACH_OUTCOME) }),
    waitMs: CONTROL_TIMEOUT_MS,
    command: { byHand: '-a', because: 'it waits, and ends with 1 if one of several volumes fails' },
  }),
  'order-attach': clientMethod({
    help: 'Attaches one volume for an order until order-detach, or until the connection of this request is closed',
    effect: 'operates',
    params: {
      name: { shape: filledText(), what: 'the name of a volume' } as Param<string>,
      readOnly: flagParam,
      server: nameOrNull,
      alone: flagParam,
      what: { shape: filledText(), what: 'the command, for people' } as Param<string>,
    },
    result: object({ ticket: text('For order-detach'), outcome: ATTACH_OUTCOME }),
    waitMs: CONTROL_TIMEOUT_MS,
    command: { calledBy: 'rsconfig, for as long as a command needs a volume' },
  }),
  'order-detach': clientMethod({
    help: 'Ends an order, and detaches its volume unless it has another owner',
    effect: 'operates',
    params: { ticket: { shape: filledText(), what: 'the ticket of order-attach' } as Param<string> },
    result: object({}),
    waitMs: CONTROL_TIMEOUT_MS,
    command: { calledBy: 'rsconfig, for as long as a command needs a volume' },
  }),
  detach: clientMethod({
    help: 'Detaches volumes by name; without names, all',
    effect: 'operates',
    params: { names, force: flagParam, owner: ownerOrNull },
    result: object({ outcomes: list(ATTACH_OUTCOME) }),
    waitMs: CONTROL_TIMEOUT_MS,
    command: { byHand: '-d', because: 'it waits, and ends with 1 if one of several volumes fails' },
  }),
  status: clientMethod({
    help: 'Interfaces, paths, and stalled volumes',
    effect: 'reads',
    params: {},
    result: STATUS,
    command: { byHand: '-m status', because: 'it waits for paths, and -v shows more' },
  }),
  stats: clientMethod({
    help: 'Counters and latencies',
    effect: 'reads',
    params: {},
    result: STATS,
    command: { byHand: '-m stats', because: 'it asks twice, and shows rates' },
  }),
  gates: clientMethod({
    help: 'The gates, with their hosts and volumes',
    effect: 'reads',
    params: {},
    result: object({ gates: list(GATE), aoe: optional(list(AOE_GATE, 'Those with protocol = aoe')) }),
    command: { byHand: 'gate list', because: 'it adds the gates that rsiod of an earlier release does not answer' },
  }),
  events: clientMethod({
    help: 'The latest state changes, or those after the event with this number, the oldest first; with waitMs, the answer waits for such an event',
    effect: 'reads',
    params: EVENTS_PARAMS,
    result: EVENTS_RESULT,
    command: { byHand: 'events', because: 'it merges the events of rsapp' },
  }),
  reload: clientMethod({
    help: 'Reads the configuration file again; an error says why nothing was changed',
    effect: 'administers',
    params: {},
    result: object({ applied: list(text(), 'A sentence for each change') }),
    command: { byHand: 'reload', because: 'it waits for paths' },
  }),
  restart: clientMethod({
    help: 'Ends this process so that its keeper starts another one, which continues with the devices; an error says why it cannot',
    effect: 'administers',
    params: {},
    result: object({}),
    command: { byHand: 'restart', because: 'it waits for the next process' },
  }),
  stop: clientMethod({
    help: 'Ends rsiod; without force, fails while its devices are in use, and the error names them',
    effect: 'administers',
    params: { force: flagParam },
    result: object({}),
    command: { byHand: 'stop', because: 'it waits for the end of rsiod' },
  }),
  probe: clientMethod({
    help: 'Measures the paths from an interface (name or address) to a server interface (name of its section, or address); null: all',
    effect: 'operates',
    params: { interface: nameOrNull, remote: nameOrNull },
    result: object({ paths: list(PROBE), leftOut: list(LEFT_OUT) }),
    waitMs: CONTROL_TIMEOUT_MS,
    command: { byHand: '-m test', because: 'it first asks which addresses are of this machine' },
  }),
  'server-call': clientMethod({
    help: 'Passes a request on to a server, which checks the rights of this client. The methods are those of rssrv. null: the only namespace or server',
    effect: 'operates',
    params: {
      namespace: nameOrNull,
      server: nameOrNull,
      method: { shape: filledText(), what: 'the name of a method of rssrv' },
      params: { shape: record(), what: 'an object', default: {} },
      waitMs: {
        shape: orNull(whole(1, SERVER_CHANGE_MS)),
        what: `a whole number from 1 to ${SERVER_CHANGE_MS} or null`,
        default: null,
      },
    },
    result: object({ namespace: text(), server: text(), result: record('Answer of the server') }),
    waitMs: SERVER_CALL_MS,
    command: { calledBy: 'each program that asks a server' },
  }),
  'snapshot-begin': clientMethod({
    help: 'Starts the triggers with snapshot-before; the caller then asks servers for these snapshots. If a trigger fails, this method fails',
    effect: 'operates',
    params: {
      snapshots: {
        shape: list(object({ namespace: filledText(), name: filledText(), universe: count(), snapshot: filledText() })),
        what: 'a list of objects with namespace, name, universe and snapshot',
      },
      pid: { shape: orNull(whole(1, PID_MAX)), what: 'the id of the process that asks, or null', default: null },
    },
    result: object({ ticket: orNull(count('For snapshot-end, which the caller must call; null: there are no triggers')) }),
    waitMs: SERVER_CALL_MS,
    command: { calledBy: 'rsconfig, around a snapshot' },
  }),
  'snapshot-end': clientMethod({
    help: 'Starts the triggers with snapshot-after, once the servers have answered. If the caller ends without this call, rsiod starts them by itself',
    effect: 'operates',
    params: {
      ticket: { shape: whole(1, Number.MAX_SAFE_INTEGER), what: 'the ticket of snapshot-begin' },
      error: { shape: orNull(text()), what: 'why no snapshot was made, or null', default: null },
    },
    result: object({ ended: flag('false: the triggers were started already') }),
    command: { calledBy: 'rsconfig, around a snapshot' },
  }),
  progress: clientMethod({
    help: 'Work of this machine that takes time: copies and comparisons of attached mirrors, and backups',
    effect: 'reads',
    params: {},
    result: object({ progress: list(PROGRESS) }),
    command: { byHand: 'progress', because: 'it asks the servers, too' },
  }),
  'progress-note': clientMethod({
    help: 'Notes how far the work of a command is, for the method progress',
    effect: 'operates',
    params: {
      kind: { shape: word(COMMAND_WORKS), what: 'what it does' },
      id: { shape: filledText(), what: 'an id that no other work has' },
      name: { shape: filledText(), what: 'the volume' },
      about: { shape: text(), what: 'where from and where to' },
      doneBytes: { shape: whole(0, Number.MAX_SAFE_INTEGER), what: 'a number of bytes' },
      totalBytes: { shape: orNull(whole(0, Number.MAX_SAFE_INTEGER)), what: 'a number of bytes, or null', default: null },
      ended: flagParam,
    },
    result: object({}),
    command: { calledBy: 'rsconfig, during a backup' },
  }),
  backups: clientMethod({
    help: 'When rsconfig backup has last made a backup of each volume on this machine',
    effect: 'reads',
    params: {},
    result: object({ backups: list(BACKUP, 'The oldest first; one for each volume') }),
    command: { partOf: 'doctor' },
  }),
  'backup-done': clientMethod({
    help: 'Notes that a backup of a snapshot is complete',
    effect: 'operates',
    params: {
      namespace: namespaceName,
      name: { shape: filledText(), what: 'the name of a volume' },
      universe: { shape: whole(0, null), what: 'a whole number' },
      snapshot: { shape: filledText(), what: 'the name of a snapshot' },
    },
    result: object({}),
    command: { calledBy: 'rsconfig, at the end of a backup' },
  }),
  'await-volume': clientMethod({
    help: 'Waits until a server lists a volume for this client, so that it can be attached',
    effect: 'reads',
    params: { namespace: namespaceName, server: serverName, id: { shape: filledText(), what: 'the id of a volume' } },
    result: object({ listed: flag('false: the server did not list it in time') }),
    waitMs: CONTROL_TIMEOUT_MS,
    command: { partOf: 'volume create' },
  }),
  ...MIRROR_METHODS,
  ...NOTE_METHODS,
  ...MESSAGE_METHODS,
} as const;

export type ControlMethods = MethodsOf<typeof CONTROL_METHODS>;
export type ControlMethodName = keyof ControlMethods;

/**
 * Returns a phrase that says what I/O on a volume is waiting for. The field `waitsFor` contains either a noun phrase (`a path to server
 * big-9`) or a sentence (`The server ...`).
 */
export function waitingText({ waitsFor }: Pick<WaitingView, 'waitsFor'>): string {
  if (waitsFor.startsWith('held by ')) return `is ${waitsFor}`;
  return /^[A-Z]/.test(waitsFor) ? `is waiting: ${waitsFor}` : `waits for ${waitsFor}`;
}

/** Time at which the waiting I/O fails. Null if `waitsFor` itself names the end of the wait, for example the end of a pause. */
export function waitingEnd({ waitsFor, untilMs }: Pick<WaitingView, 'waitsFor' | 'untilMs'>): number | 'for ever' | null {
  if (untilMs !== null) return untilMs;
  return / until \d/.test(waitsFor) ? null : 'for ever';
}
