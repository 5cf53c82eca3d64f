// Table of all sections and keys of both configuration files, with the type, range, default and help text of each key. The readers, their
// error messages, the help line of crsio and the man pages are derived from the table. Combinations of keys are checked in rssrvcfg.ts and
// rscltcfg.ts.

import { NAMESPACEID_MAX, SECTOR_BYTES, SERVERID_MAX, UNIVERSE_MAX, VOLUME_MAX_BYTES } from '@rsio/base/lib/limits';
import {
  BURST_MS,
  CLIENTS_MAX,
  AOE_SHELF_MAX,
  GATE_MEMBERS_MAX,
  GATE_PORT,
  ISCSI_PORT,
  BUSY_POLL_MAX_US,
  CLIENT_PROCESSES_MAX,
  LOG_TOTAL_BYTES,
  LOG_TOTAL_MAX_BYTES,
  LOG_TOTAL_MIN_BYTES,
  PORT_DEFAULT,
  PROCESSES_PER_CORE,
  RESERVE_MAX_PERCENT,
  TAKE_OVER_MAX_MS,
  TAKE_OVER_MIN_MS,
  TAKE_OVER_MS,
} from './limits.ts';
import { printDuration, printSize } from '@rsio/base/lib/units';
import { type FileSchema, needed, optional, type SectionEntry, withDefault } from './entries.ts';
import { APPLICATION_SECTION } from './application-section.ts';
import { DEFAULT_KEYS, NAMESPACE_KEYS, VOLUME_KEYS } from './inherited.ts';
import { bandwidthType, burstType, iopsType } from './io-limits.ts';
import { PEER_SECTION } from './peer-section.ts';
import { triggerSection } from './trigger-section.ts';
import * as types from './value-types.ts';

export type ConfigFileName = 'rssrvcfg' | 'rscltcfg';

const namespaceid = types.integer(0, NAMESPACEID_MAX);
const protocol = types.choice('tcp');
const explore = types.choice('yes', 'signed', 'no');
const tlsPolicy = types.choice('off', 'allow', 'require');
const logLevel = types.choice('trace', 'debug', 'info', 'warn', 'error', 'fatal');
const logPlace = types.choice('auto', 'journal', 'syslog', 'file');
const logTime = types.choice('gmt', 'local');
const overcommit = types.choice('allow', 'warn', 'refuse');
const volumeType = types.choice('auto', 'file', 'block', 'memory', 'null');
const blockSize = types.words('enum', { 512: 512, 4096: 4096 });

/** Help texts for keys that occur in several sections. */
const HELP = {
  log: 'Where the daemon logs (auto: to the journal if systemd starts the daemon with the journal as its output, else to the file in /var/log/rsio)',
  logTime: 'Time zone in which log lines are printed',
  metrics: 'Address and port at which the daemon serves /metrics for Prometheus; an address other than loopback needs a metrics-token',
  appMetrics: 'Address and port at which rsapp serves /metrics, with the metrics-token of this section; another port than that of metrics',
  metricsToken: 'Token that a reader of the metrics sends as Authorization: Bearer TOKEN; at least 16 characters',
} as const;

const OF_DEFAULTS = 'Inherited from [defaults]';

const anyNumber = { hasName: true, occurs: 'any number', below: null, lines: null } as const;

export const SCHEMA = {
  rssrvcfg: {
    namespace: {
      ...anyNumber,
      occurs: 'once',
      help: 'The namespace that this server belongs to. NAME is only a label in this file',
      keys: {
        namespaceid: needed(namespaceid, 'Number of the namespace; all its servers and clients have the same number'),
        protocol: withDefault(protocol, 'tcp', 'Protocol of the interfaces that do not set their own; tcp is the only possible value'),
        port: withDefault(types.port, String(PORT_DEFAULT), 'Default port of the interfaces', 'port'),
        namespacekey: optional(
          types.keyText,
          'Key that signs exploration messages; clients that sign their requests set the same key',
          'namespacekey',
        ),
        explore: withDefault(
          explore,
          'yes',
          'Which clients get an answer when they explore (yes: all; signed: those that sign with the namespacekey; no: none)',
          'explore',
        ),
        tls: withDefault(
          tlsPolicy,
          'allow',
          'Which paths are encrypted with TLS 1.3 (off: none; allow: those of clients with tls = on; require: all, and other clients are refused)',
          'tls',
        ),
        tenants: withDefault(
          types.yesNo,
          'no',
          'Whether a volume belongs to the client that created it (no: clients with manage change all that they may attach); rsadm init writes yes',
          'tenants',
        ),
      },
    },
    server: {
      ...anyNumber,
      occurs: 'once',
      help: 'The server itself. Clients see the server under this NAME',
      keys: {
        serverid: needed(types.integer(0, SERVERID_MAX), 'Number of this server, unique within the namespace'),
        serverkey: optional(
          types.keyText,
          'Key that proves the identity of this server if several servers have the same client keys; clients set it in [server]',
          'serverkey',
        ),
        'log-level': withDefault(
          logLevel,
          'info',
          'Lowest level that rssrv logs; at debug and trace, rssrv does not rate-limit its log messages',
          'logLevel',
        ),
        log: withDefault(logPlace, 'auto', HELP.log, 'log'),
        'log-time': withDefault(logTime, 'gmt', HELP.logTime, 'logTime'),
        'control-group': optional(
          types.name,
          'User group whose members may run commands that only show something; rssrv opens a second control socket for them',
        ),
        'operate-group': optional(
          types.name,
          'User group whose members may also make every change that a client with the right manage may make; they have a control socket of their own',
        ),
        'admin-group': optional(
          types.name,
          'User group whose members may do everything that root may do with rsadm, except edit this file; they have a control socket of their own',
        ),
        user: optional(
          types.name,
          'Unprivileged user as which server processes run if rssrv runs as root. Default: rsio, if this user exists',
        ),
        processes: optional(
          types.integer(1, CLIENTS_MAX),
          `Number of processes that serve clients. If there are more clients than processes, they share processes. Default: ${PROCESSES_PER_CORE} for each CPU core`,
        ),
        witness: withDefault(
          types.yesNo,
          'no',
          'Whether all clients may make this server a voter of mirrors (no: only clients that may create volumes here)',
          'witness',
        ),
        metrics: withDefault(types.endpoint, 'off', HELP.metrics),
        'metrics-token': optional(types.keyText, HELP.metricsToken),
      },
    },
    interface: {
      ...anyNumber,
      help: 'A network interface of this server that clients connect to',
      keys: {
        address: needed(
          types.interfaceAddress,
          'Address to listen on. If the machine lacks this address, rssrv waits for it. /LENGTH overrides the subnet that the machine reports',
        ),
        port: optional(types.port, 'Port to listen on. Inherited from [namespace]'),
        protocol: optional(protocol, 'Protocol. Inherited from [namespace]'),
      },
    },
    volume: {
      ...anyNumber,
      help: 'A volume that this server offers to clients',
      keys: {
        path: optional(types.path, 'File or block device that holds the volume; required unless type is memory or null', 'path'),
        size: optional(
          types.size(SECTOR_BYTES, VOLUME_MAX_BYTES),
          'Size of the volume. rssrv creates or grows a file to this size, but never truncates it. Required if type is memory or null',
          'sizeBytes',
        ),
        type: withDefault(volumeType, 'auto', 'Kind of storage; auto chooses file or block according to path', 'type'),
        blocksize: withDefault(blockSize, '512', 'Block size that clients see, in bytes', 'blockSizeBytes'),
        readonly: withDefault(types.yesNo, 'no', 'Whether rssrv refuses writes', 'readonly'),
        universe: withDefault(
          types.integer(0, UNIVERSE_MAX),
          '0',
          'Universe of the volume; the name of the volume is unique within its universe',
          'universe',
        ),
        clients: withDefault(types.clientNames, 'all', 'Clients that may see and attach the volume', 'clients'),
        shared: withDefault(
          types.yesNo,
          'no',
          'Whether several clients may write at the same time; if so, writes go straight to storage',
          'shared',
        ),
        unlocked: withDefault(
          types.yesNo,
          'no',
          'Whether rssrv serves a file that it cannot lock, because the file system has no locks',
          'unlocked',
        ),
        id: optional(types.uuid, 'Identity of the volume; if unset, rssrv generates one at the first start and keeps it', 'id'),
        'take-over': withDefault(
          types.mayChoice,
          'yes',
          'Clients that may take over the volume from its holder (yes: all; no: none)',
          'takeOver',
        ),
        'take-over-force': withDefault(
          types.yesNo,
          'no',
          'Whether clients may force a take-over that loses acknowledged writes of the holder (with a section [rights]: only clients with admin)',
          'takeOverForce',
        ),
        'same-content': optional(
          types.stamp,
          'Mark that rssrv has logged; the key confirms that the file or device still has the content that was served before',
          'sameContent',
        ),
        iops: withDefault(
          iopsType,
          'off',
          'Maximum READ, WRITE, DISCARD and ZERO requests per second, for all clients together; others wait. A reload changes it during I/O',
        ),
        bandwidth: withDefault(
          bandwidthType,
          'off',
          'Maximum bytes per second in READ and WRITE requests, for all clients together; others wait. A reload changes it during I/O',
        ),
        burst: withDefault(burstType, printDuration(BURST_MS), 'Time for which unused iops and bandwidth accumulate for a later burst'),
      },
    },
    pool: {
      ...anyNumber,
      help: 'A directory in which rsadm and permitted clients create volumes',
      keys: {
        path: needed(types.path, 'Directory of the pool, on a separate file system. rsadm pool add prepares the directory'),
        limit: optional(
          types.size(SECTOR_BYTES, VOLUME_MAX_BYTES),
          'Maximum sum of the sizes of the volumes. Without a limit, overcommit alone decides whether the sum may exceed the space',
        ),
        overcommit: withDefault(
          overcommit,
          'warn',
          'Whether the volumes together may be larger than the file system without its reserve (warn: with a warning). Snapshots do not count',
        ),
        reserve: withDefault(
          types.percent(RESERVE_MAX_PERCENT),
          '5%',
          'Share of the file system that is kept free. If less is free, writes that need new space wait, and no thick volume is created or grown',
        ),
        disk: optional(
          types.disk,
          'Disk that several servers reach, with the file system of the pool. rssrv mounts it at the path while it owns the pool',
        ),
        fence: optional(
          types.fence,
          'With disk: how a server stops an earlier owner (reservation: by SCSI or NVMe; command: by a program; none: pool moves by command only)',
        ),
        'fence-self': withDefault(
          types.yesNo,
          'no',
          'With fence = command: whether the program also runs for an earlier boot of this server (RSIO_SELF=yes). Read when rssrv starts',
        ),
        owners: optional(
          types.serverNames,
          'With disk: the servers that may own the pool, in order of preference; the same list on each of them',
        ),
        'take-over-after': withDefault(
          types.orNever(types.duration(TAKE_OVER_MIN_MS, TAKE_OVER_MAX_MS)),
          printDuration(TAKE_OVER_MS),
          'With disk: how long the owner must be silent before another server takes the pool (never: the pool moves by command only)',
        ),
      },
    },
    peer: PEER_SECTION,
    trigger: triggerSection('rssrv starts at an event, with the event as JSON on stdin', 'at each event of the server'),
    clients: {
      hasName: false,
      occurs: 'at most once',
      below: null,
      lines: 'NAME, white space, KEY, optionally white space and a second KEY',
      help: 'The names and keys of the clients that may connect. While rsadm client rekey changes the key of a client, the line of the client has the old and the new key, and rssrv accepts both',
      keys: {},
    },
    rights: {
      hasName: false,
      occurs: 'at most once',
      below: null,
      lines:
        'NAME use, NAME copy, NAME view, NAME manage [pool=NAME,...] [limit=SIZE], or NAME admin, each optionally followed by iops=N, bandwidth=SIZE and burst=TIME',
      areLinesOpen: true,
      help: 'What each client may do, one client per line. A client without a line has the right use: it may attach and use volumes. With copy, a server that replicates volumes may read the moments of its replications, and nothing else. With view, a client sees everything that an administrator sees, attaches no volume, and changes nothing. With manage, a client may also create and change volumes in the named pools, up to the limit; with admin, it may do everything. The keys iops, bandwidth and burst limit the I/O of the client over all its volumes; in [volume], the same keys limit the I/O of one volume. With this section, only clients with admin may force a take-over',
      keys: {},
    },
  },
  rscltcfg: {
    defaults: {
      hasName: false,
      occurs: 'at most once',
      below: null,
      lines: null,
      help: 'Default values for namespaces and interfaces that do not set their own',
      keys: {
        protocol: withDefault(protocol, 'tcp', 'Protocol of paths'),
        port: withDefault(types.port, String(PORT_DEFAULT), 'Port of servers'),
        ...DEFAULT_KEYS,
        'log-total': withDefault(
          types.size(LOG_TOTAL_MIN_BYTES, LOG_TOTAL_MAX_BYTES),
          printSize(LOG_TOTAL_BYTES),
          'Total memory for unflushed writes. When half is used, rsiod flushes the volume that uses most; when all is used, writes go straight to storage',
          'logTotalBytes',
        ),
        processes: withDefault(
          types.orAuto(types.integer(1, CLIENT_PROCESSES_MAX)),
          '1',
          'Number of processes that carry I/O (auto: a quarter of the cores, at least 1); a change takes effect at the next start of rsiod',
          'processes',
        ),
        'busy-poll': withDefault(
          types.orOff(types.orAuto(types.microseconds(BUSY_POLL_MAX_US))),
          'off',
          'Time after each I/O in which rsiod polls for the next I/O instead of sleeping, unless another program wants its core (auto: while it helps)',
          'busyPollUs',
        ),
        'log-level': withDefault(
          logLevel,
          'info',
          'Lowest level that rsiod logs; at debug and trace, rsiod does not rate-limit its log messages',
          'logLevel',
        ),
        log: withDefault(logPlace, 'auto', HELP.log, 'log'),
        'log-time': withDefault(logTime, 'gmt', HELP.logTime, 'logTime'),
        'nbd-group': optional(
          types.name,
          'User group whose members may open the NBD socket, in addition to the user that runs rsiod',
          'nbdGroup',
        ),
        metrics: withDefault(types.endpoint, 'off', HELP.metrics),
        'metrics-token': optional(types.keyText, HELP.metricsToken),
        'app-metrics': withDefault(types.endpoint, 'off', HELP.appMetrics),
      },
    },
    interface: {
      ...anyNumber,
      help: 'A network interface of this machine that rsiod uses for paths',
      keys: {
        address: needed(types.interfaceAddress, 'Address of the interface; /LENGTH overrides the subnet that the machine reports'),
        port: optional(
          types.port,
          'Port of the servers that are reached through this interface. Inherited from [namespace], else [defaults]',
        ),
        protocol: optional(protocol, 'Protocol of the paths that start at this interface. Inherited from [namespace], else [defaults]'),
      },
    },
    namespace: {
      ...anyNumber,
      help: 'A namespace that rsiod logs in to. The [server] and [volume] sections below it belong to this namespace',
      keys: {
        namespaceid: needed(namespaceid, 'Number of the namespace; all its servers and clients have the same number'),
        nodename: needed(types.name, 'Name of this machine, listed under [clients] on the servers'),
        nodekey: needed(types.keyText, 'Key of this machine, listed under [clients] on the servers'),
        namespacekey: optional(types.keyText, 'Key that signs exploration messages; the servers of the namespace set the same key'),
        protocol: optional(protocol, `Protocol of the paths to the servers of the namespace. ${OF_DEFAULTS}`),
        port: optional(types.port, `Port of the servers of the namespace. ${OF_DEFAULTS}`),
        ...NAMESPACE_KEYS,
      },
    },
    server: {
      ...anyNumber,
      below: 'namespace',
      help: 'One interface of a server. The server belongs to the [namespace] section above',
      keys: {
        address: needed(types.address, 'Address of this server interface'),
        port: optional(types.port, 'Port. Inherited from the [interface] that the path uses, else [namespace], else [defaults]'),
        protocol: optional(protocol, 'Protocol. Inherited from the [interface] that the path uses, else [namespace], else [defaults]'),
        serverkey: optional(
          types.keyText,
          'Key with which the server must prove its identity; the server sets the same key in its rssrvcfg',
        ),
      },
    },
    volume: {
      ...anyNumber,
      below: 'namespace',
      help: 'Settings for the volumes of this name in the [namespace] section above, in every universe; attach = yes and path apply only in universe 0',
      keys: {
        ...VOLUME_KEYS,
        attach: optional(types.yesNo, 'Whether rsiod attaches this volume automatically; overrides the attach key of the namespace'),
        readonly: optional(types.yesNo, 'Whether rsiod attaches the volume read-only; a change takes effect at the next attach'),
        path: optional(
          types.path,
          'Path of the block device, in place of /dev/av0/NAME; the raw device is in the same folder, and its name has an r in front',
        ),
      },
    },
    gate: {
      ...anyNumber,
      help: 'A gate: hosts without rsiod use attached volumes through it by NVMe/TCP, iSCSI or AoE. Gates of this NAME and namespaceid are one subsystem, or one target, for hosts',
      keys: {
        protocol: withDefault(
          types.choice('nvme', 'iscsi', 'aoe'),
          'nvme',
          'What the hosts of the gate speak: NVMe/TCP, iSCSI, or ATA over Ethernet (aoe: read-only, without any protection; see docs/HOSTS.md)',
        ),
        address: optional(
          types.gateAddresses,
          `Needed for nvme and iscsi: addresses at which rsiod listens for hosts; the default port is ${GATE_PORT}, or ${ISCSI_PORT} for iscsi`,
        ),
        hosts: needed(
          types.gateHosts,
          'Hosts that may use the gate, by their NQNs, IQNs (iscsi) or MAC addresses (aoe). None of these is secret: protect the network, or set secret-file',
        ),
        nqn: optional(types.nqn, 'NQN of the subsystem that hosts see. Default: made from the namespaceid and NAME'),
        iqn: optional(types.iqn, 'IQN of the target that hosts of iscsi see. Default: made from the namespaceid and NAME'),
        volumes: optional(
          types.volumeNames,
          'Needed: names of attached volumes that the gate offers to its hosts; they get no device here. all: volumes that have device = none',
        ),
        member: optional(
          types.integer(1, GATE_MEMBERS_MAX),
          'Number of this gate among the gates of the same NAME on several machines: one of them has a volume, and another one takes it over when hosts ask',
        ),
        'secret-file': optional(
          types.path,
          'File with lines NQN SECRET, or IQN SECRET, for hosts and for the gate itself: hosts then authenticate, and hosts without a line are refused',
        ),
        tls: withDefault(
          types.choice('off', 'required'),
          'off',
          'Whether hosts have to use TLS 1.3 (required: with the key in their line NQN NVMeTLSkey-1:... of secret-file; others are refused)',
        ),
        interface: optional(types.interfaceName, 'Needed for aoe: network interface whose Ethernet segment has the hosts'),
        shelf: optional(types.integer(0, AOE_SHELF_MAX), 'Needed for aoe: first part of the addresses SHELF.SLOT of the volumes'),
        slots: optional(
          types.aoeSlots,
          'For aoe: slots of volumes, NAME=SLOT,...; the gate gives a slot to each other volume, and keeps it',
        ),
        'aoe-writes': withDefault(
          types.choice('off', 'unsafe'),
          'off',
          'Whether hosts of aoe may write (unsafe: a frame that the network delays can revert an acknowledged block)',
        ),
      },
    },
    application: APPLICATION_SECTION,
    trigger: triggerSection(
      'rsiod starts before and after snapshots that rsconfig makes, and at events, with the event as JSON on stdin',
      'at each event of rsiod',
    ),
  },
} as const satisfies Record<ConfigFileName, FileSchema>;

export interface SchemaRow {
  readonly file: ConfigFileName;
  readonly section: string;
  readonly key: string;
  readonly kind: string;
  readonly allowed: string;
  readonly isRequired: boolean;
  readonly default: string | null;
  readonly help: string;
}

/** Returns the keys of one configuration file as rows for help texts and man pages, in the order of the schema. */
export function schemaRows(file: ConfigFileName): readonly SchemaRow[] {
  const schema: FileSchema = SCHEMA[file];
  return Object.entries(schema).flatMap(([section, { keys }]) =>
    Object.entries(keys).map(([key, { type, isRequired, default: text, help }]) => {
      return { file, section, key, kind: type.kind, allowed: type.allowed, isRequired, default: text, help };
    }),
  );
}

/** Returns the form of a section's header, for example `[interface NAME]` or `[defaults]`. */
export function sectionForm(type: string, entry: SectionEntry): string {
  return entry.hasName ? `[${type} NAME]` : `[${type}]`;
}
