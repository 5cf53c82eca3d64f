// THE table of every section and key of both files: type (with its range), default, help. The readers of the files, their error
// texts, crsio's help line and the man pages come from it: a key exists when it is here.
// Checks that involve several keys are in rssrvcfg.ts and rscltcfg.ts.

import {
  DEAD_AFTER_MS,
  DEAD_MAX_MS,
  HEARTBEAT_INTERVAL_MS,
  HEARTBEAT_MAX_MS,
  HEARTBEAT_MIN_MS,
  NAMESPACEID_MAX,
  PORT_DEFAULT,
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
import * as types from './value-types.ts';
import type { ValueType } from './value-types.ts';

export interface KeyEntry<T> {
  readonly type: ValueType<T>;
  readonly required: boolean;
  /** As it would stand in the file; null: none (or, says the help, what another section has). */
  readonly default: string | null;
  /** One sentence without full stop. */
  readonly help: string;
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

const anyNumber = { named: true, occurs: 'any number', below: null, lines: null } as const;

export const SCHEMA = {
  rssrvcfg: {
    namespace: {
      ...anyNumber,
      occurs: 'once',
      help: 'The namespace this server belongs to; the name is a label of its own',
      keys: {
        namespaceid: needed(namespaceid, 'Number of the namespace, the same on all its servers and clients'),
        protocol: withDefault(protocol, 'tcp', 'Protocol of interfaces that set none'),
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
        'log-level': withDefault(logLevel, 'info', 'Least important level that is logged'),
      },
    },
    interface: {
      ...anyNumber,
      help: 'A network interface that clients connect to',
      keys: {
        address: needed(types.interfaceAddress, 'Address to listen on; /LENGTH overrides the subnet of the interface which has it'),
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
        id: optional(types.uuid, 'Identity of the volume; without it one is made at first start and kept'),
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
        stall: withDefault(stall, printDuration(STALL_MS), 'How long I/O waits when no path is left, before it fails'),
        attach: withDefault(types.attachChoice, 'none', 'Volumes attached when the daemon starts'),
        device: withDefault(device, 'auto', 'How an attached volume is shown on this machine'),
        paths: withDefault(
          paths,
          'auto',
          'Which pairs of interfaces become paths: those on a common subnet, all, or only those with [server] sections',
        ),
        heartbeat: withDefault(heartbeat, printDuration(HEARTBEAT_INTERVAL_MS), 'Interval of heartbeats on a path'),
        suspect: withDefault(
          suspect,
          printDuration(SUSPECT_AFTER_MS),
          'Silence after which requests are sent again on other paths; below heartbeat',
        ),
        dead: withDefault(dead, printDuration(DEAD_AFTER_MS), 'Silence after which a path is reset; above twice the heartbeat'),
        digest: withDefault(types.offOn, 'off', 'Whether frames carry checksums of their own'),
        'log-size': withDefault(logSize, printSize(REPLAY_LOG_BYTES), 'Memory per volume for writes not yet flushed; 0 writes through'),
        'nbd-group': optional(types.name, 'Group of this machine that may use the NBD socket besides its owner'),
      },
    },
    interface: {
      ...anyNumber,
      help: 'A network interface of this machine that paths leave by',
      keys: {
        address: needed(types.interfaceAddress, 'Address of the interface; /LENGTH overrides the subnet the machine says it is on'),
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
        protocol: optional(protocol, 'Overrides protocol of [defaults]'),
        port: optional(types.port, 'Overrides port of [defaults]'),
        stall: optional(stall, 'Overrides stall of [defaults]'),
        attach: optional(types.attachChoice, 'Overrides attach of [defaults]'),
        device: optional(device, 'Overrides device of [defaults]'),
        paths: optional(paths, 'Overrides paths of [defaults]'),
        heartbeat: optional(heartbeat, 'Overrides heartbeat of [defaults]'),
        suspect: optional(suspect, 'Overrides suspect of [defaults]'),
        dead: optional(dead, 'Overrides dead of [defaults]'),
        digest: optional(types.offOn, 'Overrides digest of [defaults]'),
        'log-size': optional(logSize, 'Overrides log-size of [defaults]'),
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
        serverkey: optional(types.keyText, 'The key by which this server has to prove itself'),
      },
    },
    volume: {
      ...anyNumber,
      below: 'namespace',
      help: 'What holds for one volume of the namespace above',
      keys: {
        stall: optional(stall, 'Overrides stall of the namespace for this volume'),
        attach: optional(types.yesNo, 'Whether this volume is attached when the daemon starts, whatever attach of the namespace says'),
        device: optional(device, 'Overrides device of the namespace for this volume'),
        'log-size': optional(logSize, 'Overrides log-size of the namespace for this volume'),
        readonly: optional(types.yesNo, 'Whether this volume is attached for reading only'),
        path: optional(types.path, 'Where this volume appears, instead of below /dev/avN'),
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
