// THE table of every section and key of both files: type (with its range), default, help. The readers of the files, their error
// texts, crsio's help line and the man pages come from it: a key exists when it is here.
// Checks that involve several keys are in rssrvcfg.ts and rscltcfg.ts.

import {
  CLIENTS_MAX,
  DEAD_AFTER_MS,
  DEAD_MAX_MS,
  HEARTBEAT_INTERVAL_MS,
  HEARTBEAT_MAX_MS,
  HEARTBEAT_MIN_MS,
  NAMESPACEID_MAX,
  PORT_DEFAULT,
  PROCESSES_PER_CORE,
  LOG_TOTAL_BYTES,
  LOG_TOTAL_MAX_BYTES,
  LOG_TOTAL_MIN_BYTES,
  REPLAY_LOG_BYTES,
  REPLAY_LOG_MAX_BYTES,
  SECTOR_BYTES,
  SERVERID_MAX,
  STALL_MAX_MS,
  STALL_MIN_MS,
  STALL_MS,
  SUSPECT_AFTER_MS,
  SUSPECT_MIN_MS,
  UNIVERSE_MAX,
  VOLUME_MAX_BYTES,
} from '../limits.ts';
import { printDuration, printSize } from '../lib/units.ts';
import { testDelays, testErrors } from './test-values.ts';
import * as types from './value-types.ts';
import type { ValueType } from './value-types.ts';

export interface KeyEntry<T> {
  readonly type: ValueType<T>;
  readonly required: boolean;
  /** As it would stand in the file; null: none (or, says the help, what another section has). */
  readonly default: string | null;
  /** One sentence without full stop. */
  readonly help: string;
  /** Makes faults: rssrv takes it with --test only, and nobody is offered it. */
  readonly isForTests?: true;
}

export type KeyTable = Readonly<Record<string, KeyEntry<unknown>>>;

export interface SectionEntry {
  /** The header has a name: `[interface NAME]`. */
  readonly named: boolean;
  readonly occurs: 'once' | 'at most once' | 'any number';
  /** Type of the section that must stand above, and that it belongs to. */
  readonly below: string | null;
  /** Its lines are no entries: their form. */
  readonly lines: string | null;
  readonly help: string;
  readonly keys: KeyTable;
}

export type FileSchema = Readonly<Record<string, SectionEntry>>;
export type ConfigFileName = 'rssrvcfg' | 'rscltcfg';

function needed<T>(type: ValueType<T>, help: string) {
  return { type, required: true, default: null, help } as const;
}

function optional<T>(type: ValueType<T>, help: string) {
  return { type, required: false, default: null, help } as const;
}

function withDefault<T>(type: ValueType<T>, text: string, help: string) {
  return { type, required: false, default: text, help } as const;
}

function forTests<T>(type: ValueType<T>, help: string) {
  return { ...optional(type, help), isForTests: true } as const;
}

const namespaceid = types.integer(0, NAMESPACEID_MAX);
const protocol = types.choice('tcp');
const stall = types.stall(STALL_MIN_MS, STALL_MAX_MS);
const device = types.choice('auto', 'block', 'raw', 'nbd-socket', 'kernel-nbd', 'none');
const paths = types.choice('auto', 'all', 'configured');
const heartbeat = types.duration(HEARTBEAT_MIN_MS, HEARTBEAT_MAX_MS);
const suspect = types.duration(SUSPECT_MIN_MS, HEARTBEAT_MAX_MS);
const dead = types.duration(HEARTBEAT_MIN_MS, DEAD_MAX_MS);
const logSize = types.size(0, REPLAY_LOG_MAX_BYTES);
const explore = types.choice('yes', 'signed', 'no');
const logLevel = types.choice('trace', 'debug', 'info', 'warn', 'error', 'fatal');
const volumeType = types.choice('auto', 'file', 'block', 'memory', 'null');
const blockSize = types.words('enum', { 512: 512, 4096: 4096 });

/** What a key means wherever it stands; a section that inherits it adds from where. */
const HELP = {
  stall: 'How long I/O waits when no path is left, before it fails; forever: it never fails, fail: within a second',
  attach: 'Volumes attached at a start, a reload, or when their server is met, if rsconfig -d has not come since the last boot',
  device: 'How an attached volume is shown: devices block and raw, raw alone, or only the NBD socket; none: by nothing at all',
  paths: 'Which pairs of interfaces become paths: those on a common subnet, all, or of those only what [server] sections name',
  heartbeat: 'How often each path is asked for a sign of life',
  suspect: 'Silence after which requests of a path are sent again on others; it must be below heartbeat',
  dead: 'Silence after which a path is given up and connected anew; it must be above twice the heartbeat',
  digest: 'Whether frames carry checksums (CRC-32) of their own, beyond those of TCP',
  logSize: 'Memory per volume to send unflushed writes again after a crash of the server; 0: each is written through',
} as const;

const OF_DEFAULTS = 'without it that of [defaults]';
const OF_NAMESPACE = 'without it that of the namespace';

const anyNumber = { named: true, occurs: 'any number', below: null, lines: null } as const;

export const SCHEMA = {
  rssrvcfg: {
    namespace: {
      ...anyNumber,
      occurs: 'once',
      help: 'The namespace this server belongs to; the name is a label of its own',
      keys: {
        namespaceid: needed(namespaceid, 'Number of the namespace, the same on all its servers and clients'),
        protocol: withDefault(protocol, 'tcp', 'Protocol of interfaces that set none; TCP is the only one'),
        port: withDefault(types.port, String(PORT_DEFAULT), 'Port of interfaces that set none'),
        namespacekey: optional(types.keyText, 'Signs exploration, together with the clients that have the same key'),
        explore: withDefault(
          explore,
          'yes',
          'Who is answered when a client explores: everybody, who signs with the namespacekey, or nobody',
        ),
      },
    },
    server: {
      ...anyNumber,
      occurs: 'once',
      help: 'This server; the name is what clients see',
      keys: {
        serverid: needed(types.integer(0, SERVERID_MAX), 'Number of this server, of its own within the namespace'),
        serverkey: optional(
          types.keyText,
          'Proves this server where several servers share client keys; clients name it in their [server] sections',
        ),
        'log-level': withDefault(
          logLevel,
          'info',
          'Least important level that is logged; from debug on, lines that others cause often are all written',
        ),
        processes: optional(
          types.integer(1, CLIENTS_MAX),
          `Processes that serve clients, one each as long as there are no more clients than that; then they share them. Without it ${PROCESSES_PER_CORE} for each core of the machine`,
        ),
      },
    },
    interface: {
      ...anyNumber,
      help: 'A network interface that clients connect to',
      keys: {
        address: needed(
          types.interfaceAddress,
          'Address to listen on; /LENGTH overrides the subnet of the interface which has it. One that the machine does not have yet is waited for',
        ),
        port: optional(types.port, 'Port to listen on; without it that of [namespace]'),
        protocol: optional(protocol, 'Protocol; without it that of [namespace]'),
      },
    },
    volume: {
      ...anyNumber,
      help: 'A volume offered to clients',
      keys: {
        path: optional(types.path, 'File or block device that holds the volume; needed except for memory and null'),
        size: optional(
          types.size(SECTOR_BYTES, VOLUME_MAX_BYTES),
          'Size; a file is made or grown to it, never cut; needed for memory and null',
        ),
        type: withDefault(volumeType, 'auto', 'What the volume stands on; auto looks at the path'),
        blocksize: withDefault(blockSize, '512', 'Block size in bytes that clients see'),
        readonly: withDefault(types.yesNo, 'no', 'Whether writes are refused'),
        universe: withDefault(types.integer(0, UNIVERSE_MAX), '0', 'Universe, within which the name is unique'),
        clients: withDefault(types.clientNames, 'all', 'Clients that may see and attach it'),
        shared: withDefault(types.yesNo, 'no', 'Whether many clients may write at a time, each write being written through'),
        unlocked: withDefault(
          types.yesNo,
          'no',
          'Whether a file that cannot be locked (no perl, or a file system without locks) is served all the same',
        ),
        id: optional(types.uuid, 'Identity of the volume; without it one is made at first start and kept'),
        'take-over': withDefault(types.mayChoice, 'yes', 'Which of its clients may take it over from another one'),
        'take-over-force': withDefault(
          types.yesNo,
          'no',
          'Whether a take-over may lose what was acknowledged to the holder and he has still to bring back',
        ),
        'same-content': optional(
          types.stamp,
          'Mark of the file or device whose content is that of the one served before it; rssrv names it when it asks for this',
        ),
        'test-delay': forTests(testDelays, 'Times that operations take longer; a range is drawn from evenly'),
        'test-error': forTests(testErrors, 'Operations that are not done and answered with an error; every N: each Nth that it is met by'),
        'test-pause': forTests(types.path, 'While this file is there, all I/O of the volume stands still'),
        'test-throttle': forTests(types.size(SECTOR_BYTES, VOLUME_MAX_BYTES), 'Bytes that are read and written in a second, at most'),
        'test-lose-unsynced': forTests(
          types.yesNo,
          'Whether the file or device gets only what was flushed: the rest is kept in RUN, for the crash of a machine to lose',
        ),
      },
    },
    clients: {
      named: false,
      occurs: 'at most once',
      below: null,
      lines: 'NAME, white space, KEY',
      help: 'The clients that may connect, one a line with its key',
      keys: {},
    },
  },
  rscltcfg: {
    defaults: {
      named: false,
      occurs: 'at most once',
      below: null,
      lines: null,
      help: 'What holds for all namespaces and interfaces that do not say otherwise',
      keys: {
        protocol: withDefault(protocol, 'tcp', 'Protocol of paths'),
        port: withDefault(types.port, String(PORT_DEFAULT), 'Port of servers'),
        stall: withDefault(stall, printDuration(STALL_MS), HELP.stall),
        attach: withDefault(types.attachChoice, 'none', HELP.attach),
        device: withDefault(device, 'auto', HELP.device),
        paths: withDefault(paths, 'auto', HELP.paths),
        heartbeat: withDefault(heartbeat, printDuration(HEARTBEAT_INTERVAL_MS), HELP.heartbeat),
        suspect: withDefault(suspect, printDuration(SUSPECT_AFTER_MS), HELP.suspect),
        dead: withDefault(dead, printDuration(DEAD_AFTER_MS), HELP.dead),
        digest: withDefault(types.offOn, 'off', HELP.digest),
        'log-size': withDefault(logSize, printSize(REPLAY_LOG_BYTES), HELP.logSize),
        'log-total': withDefault(
          types.size(LOG_TOTAL_MIN_BYTES, LOG_TOTAL_MAX_BYTES),
          printSize(LOG_TOTAL_BYTES),
          'Memory that the logs of all volumes may take together; near it the largest is flushed, at it writes are written through',
        ),
        'nbd-group': optional(types.name, 'Group of users that may open the NBD socket, besides the user rsiod runs as'),
      },
    },
    interface: {
      ...anyNumber,
      help: 'A network interface of this machine that paths leave by',
      keys: {
        address: needed(types.interfaceAddress, 'Address of the interface; /LENGTH overrides the subnet that the machine says it is on'),
        port: optional(types.port, 'Port of servers reached through it; without it that of [namespace], else of [defaults]'),
        protocol: optional(protocol, 'Protocol of its paths; without it that of [namespace], else of [defaults]'),
      },
    },
    namespace: {
      ...anyNumber,
      help: 'A namespace to log in to; the [server] and [volume] sections below it belong to it',
      keys: {
        namespaceid: needed(namespaceid, 'Number of the namespace, the same on all its servers and clients'),
        nodename: needed(types.name, 'Name of this machine as the servers list it under [clients]'),
        nodekey: needed(types.keyText, 'Key of this machine as the servers list it under [clients]'),
        namespacekey: optional(types.keyText, 'Signs exploration, together with the servers that have the same key'),
        protocol: optional(protocol, `Protocol of its paths; ${OF_DEFAULTS}`),
        port: optional(types.port, `Port of its servers; ${OF_DEFAULTS}`),
        stall: optional(stall, `${HELP.stall}; ${OF_DEFAULTS}`),
        attach: optional(types.attachChoice, `${HELP.attach}; ${OF_DEFAULTS}`),
        device: optional(device, `${HELP.device}; ${OF_DEFAULTS}`),
        paths: optional(paths, `${HELP.paths}; ${OF_DEFAULTS}`),
        heartbeat: optional(heartbeat, `${HELP.heartbeat}; ${OF_DEFAULTS}`),
        suspect: optional(suspect, `${HELP.suspect}; ${OF_DEFAULTS}`),
        dead: optional(dead, `${HELP.dead}; ${OF_DEFAULTS}`),
        digest: optional(types.offOn, `${HELP.digest}; ${OF_DEFAULTS}`),
        'log-size': optional(logSize, `${HELP.logSize}; ${OF_DEFAULTS}`),
      },
    },
    server: {
      ...anyNumber,
      below: 'namespace',
      help: 'One interface of a server of the namespace above',
      keys: {
        address: needed(types.address, 'Address of this interface of the server'),
        port: optional(types.port, 'Port; without it that of the [interface] used, else of [namespace], else of [defaults]'),
        protocol: optional(protocol, 'Protocol; without it that of the [interface] used, else of [namespace], else of [defaults]'),
        serverkey: optional(types.keyText, 'Key by which this server has to prove itself, the same as in its rssrvcfg'),
      },
    },
    volume: {
      ...anyNumber,
      below: 'namespace',
      help: 'What holds for one volume of the namespace above',
      keys: {
        stall: optional(stall, `${HELP.stall}; ${OF_NAMESPACE}`),
        attach: optional(types.yesNo, 'Whether this volume is one that attach means, whatever attach of the namespace says'),
        device: optional(device, `${HELP.device}; ${OF_NAMESPACE}`),
        'log-size': optional(logSize, `${HELP.logSize}; ${OF_NAMESPACE}`),
        readonly: optional(types.yesNo, 'Whether this volume is attached for reading only, when it is attached the next time'),
        path: optional(
          types.path,
          'Where its block device is instead of /dev/avN/NAME; the raw device is beside it, with an r in front of its name',
        ),
      },
    },
  },
} as const satisfies Record<ConfigFileName, FileSchema>;

export interface SchemaRow {
  readonly file: ConfigFileName;
  readonly section: string;
  readonly key: string;
  readonly kind: string;
  readonly allowed: string;
  readonly required: boolean;
  readonly default: string | null;
  readonly help: string;
}

/** The table as rows, in order, for help and man pages. */
export function schemaRows(file: ConfigFileName): readonly SchemaRow[] {
  const schema: FileSchema = SCHEMA[file];
  return Object.entries(schema).flatMap(([section, { keys }]) =>
    Object.entries(keys).map(([key, { type, required, default: text, help }]) => {
      return { file, section, key, kind: type.kind, allowed: type.allowed, required, default: text, help };
    }),
  );
}

/** `[interface NAME]` or `[defaults]`. */
export function sectionForm(type: string, entry: SectionEntry): string {
  return entry.named ? `[${type} NAME]` : `[${type}]`;
}
