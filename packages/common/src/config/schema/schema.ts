// Table of all sections and keys of both configuration files, with the type, range, default and help text of each key. The readers, their
// error messages, the help line of crsio and the man pages are derived from the table. Combinations of keys are checked in rssrvcfg.ts and
// rscltcfg.ts.

import { NAMESPACEID_MAX, SECTOR_BYTES, SERVERID_MAX, UNIVERSE_MAX, VOLUME_MAX_BYTES } from '../../lib/limits.ts';
import {
  BURST_MS,
  CLIENTS_MAX,
  DEAD_AFTER_MS,
  DEAD_MAX_MS,
  AOE_SHELF_MAX,
  GATE_MEMBERS_MAX,
  GATE_PORT,
  ISCSI_PORT,
  HEARTBEAT_INTERVAL_MS,
  HEARTBEAT_MAX_MS,
  HEARTBEAT_MIN_MS,
  BUSY_POLL_MAX_US,
  CLIENT_PROCESSES_MAX,
  LOG_TOTAL_BYTES,
  LOG_TOTAL_MAX_BYTES,
  LOG_TOTAL_MIN_BYTES,
  MIRROR_PATIENCE_MAX_MS,
  MIRROR_PATIENCE_MIN_MS,
  MIRROR_PATIENCE_MS,
  PORT_DEFAULT,
  PROCESSES_PER_CORE,
  REPLAY_LOG_BYTES,
  REPLAY_LOG_MAX_BYTES,
  RESERVE_MAX_PERCENT,
  RESYNC_RATE_BYTES,
  RESYNC_RATE_MAX_BYTES,
  STALL_MAX_MS,
  STALL_MIN_MS,
  STALL_MS,
  SUSPECT_AFTER_MS,
  SUSPECT_MIN_MS,
  TAKE_OVER_MAX_MS,
  TAKE_OVER_MIN_MS,
  TAKE_OVER_MS,
} from './limits.ts';
import { printDuration, printSize } from '../../lib/units.ts';
import { type FileSchema, needed, optional, type SectionEntry, withDefault } from './entries.ts';
import { APPLICATION_SECTION } from './application-section.ts';
import { bandwidthType, burstType, iopsType } from './io-limits.ts';
import { PEER_SECTION } from './peer-section.ts';
import { triggerSection } from './trigger-section.ts';
import * as types from './value-types.ts';

export type ConfigFileName = 'rssrvcfg' | 'rscltcfg';

const namespaceid = types.integer(0, NAMESPACEID_MAX);
const protocol = types.choice('tcp');
const stall = types.stall(STALL_MIN_MS, STALL_MAX_MS);
const device = types.choice('auto', 'block', 'raw', 'nbd-socket', 'none');
const paths = types.choice('auto', 'all', 'configured');
const heartbeat = types.duration(HEARTBEAT_MIN_MS, HEARTBEAT_MAX_MS);
const suspect = types.duration(SUSPECT_MIN_MS, HEARTBEAT_MAX_MS);
const dead = types.duration(HEARTBEAT_MIN_MS, DEAD_MAX_MS);
const mirrorPatience = types.duration(MIRROR_PATIENCE_MIN_MS, MIRROR_PATIENCE_MAX_MS);
const resyncRate = types.size(0, RESYNC_RATE_MAX_BYTES);
const mirrorReads = types.choice('confirmed', 'local');
const logSize = types.size(0, REPLAY_LOG_MAX_BYTES);
const explore = types.choice('yes', 'signed', 'no');
const tlsPolicy = types.choice('off', 'allow', 'require');
const logLevel = types.choice('trace', 'debug', 'info', 'warn', 'error', 'fatal');
const logPlace = types.choice('auto', 'journal', 'syslog', 'file');
const logTime = types.choice('gmt', 'local');
const volumeType = types.choice('auto', 'file', 'block', 'memory', 'null');
const blockSize = types.words('enum', { 512: 512, 4096: 4096 });

/** Help texts for keys that occur in several sections. */
const HELP = {
  stall: 'How long I/O waits for a path before the I/O fails (forever: never; fail: within 1s)',
  attach: 'Volumes to attach at start, at reload and when rsiod connects, unless rsconfig -d has detached them since boot',
  device: 'Devices of an attached volume (block: block and raw device; raw: raw device; nbd-socket: NBD export only; none: no access)',
  paths: 'Interface pairs that become paths (auto: same subnet; all: every pair; configured: like auto, but only [server] addresses)',
  heartbeat: 'Interval between heartbeats on each path',
  suspect: 'How long a path may be silent before its requests are sent again on other paths; must be less than heartbeat',
  dead: 'How long a path may be silent before rsiod closes and reconnects it; more than 2 heartbeats, enough to send a batch',
  digest: 'Whether frames carry CRC-32 checksums in addition to the checksums of TCP',
  tls: 'Whether paths are encrypted with TLS 1.3; with on, rsiod does not use a server that refuses to encrypt',
  logSize: 'Memory per volume for unflushed writes; rsiod sends them again after a server crash (0: writes go straight to storage)',
  mirrorPatience: 'How long a mirror waits for a replica without a path before it drops the replica; it always waits for a slow server',
  resyncRate: 'Maximum bytes per second that each mirror copies to replicas that return (0: no limit)',
  log: 'Where the daemon logs (auto: to the journal if systemd starts the daemon with the journal as its output, else to the file in /var/log/rsio)',
  logTime: 'Time zone in which log lines are printed',
  metrics: 'Address and port at which the daemon serves /metrics for Prometheus; an address other than loopback needs a metrics-token',
  appMetrics: 'Address and port at which rsapp serves /metrics, with the metrics-token of this section; another port than that of metrics',
  metricsToken: 'Token that a reader of the metrics sends as Authorization: Bearer TOKEN; at least 16 characters',
  mirrorReads: 'Reads of a mirror (confirmed: after servers have confirmed the claim; local: at once, but data may be outdated)',
} as const;

const OF_DEFAULTS = 'Inherited from [defaults]';
const OF_NAMESPACE = 'Inherited from [namespace]';

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
        port: withDefault(types.port, String(PORT_DEFAULT), 'Default port of the interfaces'),
        namespacekey: optional(types.keyText, 'Key that signs exploration messages; clients that sign their requests set the same key'),
        explore: withDefault(
          explore,
          'yes',
          'Which clients get an answer when they explore (yes: all; signed: those that sign with the namespacekey; no: none)',
        ),
        tls: withDefault(
          tlsPolicy,
          'allow',
          'Which paths are encrypted with TLS 1.3 (off: none; allow: those of clients with tls = on; require: all, and other clients are refused)',
        ),
        tenants: withDefault(
          types.yesNo,
          'no',
          'Whether a volume belongs to the client that created it (no: clients with manage change all that they may attach); rsadm init writes yes',
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
        ),
        'log-level': withDefault(
          logLevel,
          'info',
          'Lowest level that rssrv logs; at debug and trace, rssrv does not rate-limit its log messages',
        ),
        log: withDefault(logPlace, 'auto', HELP.log),
        'log-time': withDefault(logTime, 'gmt', HELP.logTime),
        'control-group': optional(
          types.name,
          'User group whose members may run commands that only show something; rssrv opens a second control socket for them',
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
        path: optional(types.path, 'File or block device that holds the volume; required unless type is memory or null'),
        size: optional(
          types.size(SECTOR_BYTES, VOLUME_MAX_BYTES),
          'Size of the volume. rssrv creates or grows a file to this size, but never truncates it. Required if type is memory or null',
        ),
        type: withDefault(volumeType, 'auto', 'Kind of storage; auto chooses file or block according to path'),
        blocksize: withDefault(blockSize, '512', 'Block size that clients see, in bytes'),
        readonly: withDefault(types.yesNo, 'no', 'Whether rssrv refuses writes'),
        universe: withDefault(
          types.integer(0, UNIVERSE_MAX),
          '0',
          'Universe of the volume; the name of the volume is unique within its universe',
        ),
        clients: withDefault(types.clientNames, 'all', 'Clients that may see and attach the volume'),
        shared: withDefault(types.yesNo, 'no', 'Whether several clients may write at the same time; if so, writes go straight to storage'),
        unlocked: withDefault(
          types.yesNo,
          'no',
          'Whether rssrv serves a file that it cannot lock, because Perl is missing or the file system has no locks',
        ),
        id: optional(types.uuid, 'Identity of the volume; if unset, rssrv generates one at the first start and keeps it'),
        'take-over': withDefault(types.mayChoice, 'yes', 'Clients that may take over the volume from its holder (yes: all; no: none)'),
        'take-over-force': withDefault(
          types.yesNo,
          'no',
          'Whether clients may force a take-over that loses acknowledged writes of the holder (with a section [rights]: only clients with admin)',
        ),
        'same-content': optional(
          types.stamp,
          'Mark that rssrv has logged; the key confirms that the file or device still has the content that was served before',
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
          'Maximum sum of the sizes of the volumes. Without a limit, the sum may exceed the space of the file system',
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
        'NAME use, NAME manage [pool=NAME,...] [limit=SIZE], or NAME admin, each optionally followed by iops=N, bandwidth=SIZE and burst=TIME',
      help: 'What each client may do, one client per line. A client without a line has the right use: it may attach and use volumes. With copy, a server that replicates volumes may read the moments of its replications, and nothing else. With manage, a client may also create and change volumes in the named pools, up to the limit; with admin, it may do everything. The keys iops, bandwidth and burst limit the I/O of the client over all its volumes; in [volume], the same keys limit the I/O of one volume. With this section, only clients with admin may force a take-over',
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
        stall: withDefault(stall, printDuration(STALL_MS), HELP.stall),
        attach: withDefault(types.attachChoice, 'none', HELP.attach),
        device: withDefault(device, 'auto', HELP.device),
        paths: withDefault(paths, 'auto', HELP.paths),
        heartbeat: withDefault(heartbeat, printDuration(HEARTBEAT_INTERVAL_MS), HELP.heartbeat),
        suspect: withDefault(suspect, printDuration(SUSPECT_AFTER_MS), HELP.suspect),
        dead: withDefault(dead, printDuration(DEAD_AFTER_MS), HELP.dead),
        digest: withDefault(types.offOn, 'off', HELP.digest),
        tls: withDefault(types.offOn, 'off', HELP.tls),
        'log-size': withDefault(logSize, printSize(REPLAY_LOG_BYTES), HELP.logSize),
        'mirror-patience': withDefault(mirrorPatience, printDuration(MIRROR_PATIENCE_MS), HELP.mirrorPatience),
        'resync-rate': withDefault(resyncRate, printSize(RESYNC_RATE_BYTES), HELP.resyncRate),
        'mirror-reads': withDefault(mirrorReads, 'confirmed', HELP.mirrorReads),
        'log-total': withDefault(
          types.size(LOG_TOTAL_MIN_BYTES, LOG_TOTAL_MAX_BYTES),
          printSize(LOG_TOTAL_BYTES),
          'Total memory for unflushed writes. When half is used, rsiod flushes the volume that uses most; when all is used, writes go straight to storage',
        ),
        processes: withDefault(
          types.orAuto(types.integer(1, CLIENT_PROCESSES_MAX)),
          '1',
          'Number of processes that carry I/O (auto: a quarter of the cores, at least 1); a change takes effect at the next start of rsiod',
        ),
        'busy-poll': withDefault(
          types.orOff(types.microseconds(BUSY_POLL_MAX_US)),
          'off',
          'Time after each I/O in which rsiod polls for the next I/O instead of sleeping, unless another program wants its core',
        ),
        log: withDefault(logPlace, 'auto', HELP.log),
        'log-time': withDefault(logTime, 'gmt', HELP.logTime),
        'nbd-group': optional(types.name, 'User group whose members may open the NBD socket, in addition to the user that runs rsiod'),
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
        stall: optional(stall, `${HELP.stall}. ${OF_DEFAULTS}`),
        attach: optional(types.attachChoice, `${HELP.attach}. ${OF_DEFAULTS}`),
        device: optional(device, `${HELP.device}. ${OF_DEFAULTS}`),
        paths: optional(paths, `${HELP.paths}. ${OF_DEFAULTS}`),
        heartbeat: optional(heartbeat, `${HELP.heartbeat}. ${OF_DEFAULTS}`),
        suspect: optional(suspect, `${HELP.suspect}. ${OF_DEFAULTS}`),
        dead: optional(dead, `${HELP.dead}. ${OF_DEFAULTS}`),
        digest: optional(types.offOn, `${HELP.digest}. ${OF_DEFAULTS}`),
        tls: optional(types.offOn, `${HELP.tls}. ${OF_DEFAULTS}`),
        'log-size': optional(logSize, `${HELP.logSize}. ${OF_DEFAULTS}`),
        'mirror-patience': optional(mirrorPatience, `${HELP.mirrorPatience}. ${OF_DEFAULTS}`),
        'resync-rate': optional(resyncRate, `${HELP.resyncRate}. ${OF_DEFAULTS}`),
        'mirror-reads': optional(mirrorReads, `${HELP.mirrorReads}. ${OF_DEFAULTS}`),
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
        stall: optional(stall, `${HELP.stall}. ${OF_NAMESPACE}`),
        attach: optional(types.yesNo, 'Whether rsiod attaches this volume automatically; overrides the attach key of the namespace'),
        device: optional(device, `${HELP.device}. ${OF_NAMESPACE}`),
        'log-size': optional(logSize, `${HELP.logSize}. ${OF_NAMESPACE}`),
        'mirror-patience': optional(mirrorPatience, `${HELP.mirrorPatience}. ${OF_NAMESPACE}`),
        'resync-rate': optional(resyncRate, `${HELP.resyncRate}. ${OF_NAMESPACE}`),
        'mirror-reads': optional(mirrorReads, `${HELP.mirrorReads}. ${OF_NAMESPACE}`),
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
