// The role of this process: it has all volumes (`processes = 1`), is the main process of data processes, or is a data process
// (docs/PROTOCOL.md, Data processes). Invariant:
// all differences between the roles are in this file, except that a data process has no control socket, metrics or triggers (daemon.ts).

import { closeSync } from 'node:fs';
import { effectiveVolumeOf } from '@rsio/common/config/effective-volume';
import type { RsiodPaths } from '@rsio/common/config/root-paths';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import type { ControlHandlers } from '@rsio/api/rsiod/call-rsiod';
import type { EventView } from '@rsio/common/control/method-table';
import { parseVolumeName, snapshotName } from '@rsio/base/lib/volume-name';
import type { Clock } from '@rsio/base/lib/clock';
import { Signal } from '@rsio/base/lib/signal';
import type { DaemonLog } from '@rsio/base/log/log';
import { type AttachedContent, AttachedFile, type AttachedStore } from '../attachments/attached-file.ts';
import { labelOf, type OfferList, twinsOf, whyMissing } from '../attachments/offers.ts';
import { givenOrigins, type Origin, type Origins, VolumeOrigins } from '../attachments/volume-origins.ts';
import { Absences } from '../control/absences.ts';
import type { Notifications } from '../control/notifications.ts';
import type { CurrentConfig } from '../network/current-config.ts';
import { KnownServers } from '../network/known-servers.ts';
import { devicePlaces } from '../frontends/devices/device-paths.ts';
import { NBD_FRONTEND_BYTES_MAX, NBD_FRONTEND_RESERVE_BYTES } from '../frontends/limits.ts';
import type { NbdFrontend, NbdFrontendOptions } from '../frontends/nbd/nbd-frontend.ts';
import type { Inheritance, KeeperLink } from '../keeper/keeper-link.ts';
import { KeptDevices } from '../keeper/kept-devices.ts';
import type { Identity } from '@rsio/protocol/client-identity';
import type { Namespaces } from '../network/namespaces.ts';
import type { ChildEvents } from '@rsio/base/lib/watched-child';
import type { Spawned } from './data-process.ts';
import { DataProcesses } from './data-processes.ts';
import { HeldDevices } from './held-devices.ts';
import type { MainChannel } from './main-channel.ts';
import { routed } from './routing.ts';

export interface RoleOptions {
  readonly paths: RsiodPaths;
  readonly identity: Identity;
  readonly clock: Clock;
  readonly log: DaemonLog;
  /** Reports a warning to the process that started the daemon, and to the log. */
  readonly warn: (sentence: string) => void;
  /**
   * The link to the keeper, and the state that the previous process left to this process; null if there is no keeper. The keeper lets
   * devices outlive this process.
   */
  readonly keeper: { readonly link: KeeperLink; readonly inheritance: Inheritance } | null;
  /** The data processes, which have the volumes; null if this process itself has them. */
  readonly processes: {
    readonly count: number;
    readonly spawn: (number: number, places: readonly number[] | null, events: ChildEvents) => Spawned;
  } | null;
  /** Set in a data process: the channel to the main process, the number of data processes, and the origins of its earlier volumes. */
  readonly part: {
    readonly channel: MainChannel;
    readonly processes: number;
    readonly origins: Readonly<Record<string, Origin>>;
  } | null;
}

/** What this process knows from earlier processes of this client. */
export interface Remembered {
  /** The servers from which volumes were attached. The main process checks them for its data processes. */
  readonly origins: Origins;
  /** Where servers were found; only the main process records it. */
  readonly known: KnownServers;
  /** The volumes that servers do not have; a data process loads and learns none. */
  readonly absences: Absences;
  /** The devices that the keeper holds for this process. */
  readonly kept: KeptDevices;
}

export function remembered({ paths, log, keeper, part }: RoleOptions): Remembered {
  const kept =
    part === null
      ? new KeptDevices(keeper?.link ?? null, keeper?.inheritance.kept ?? [], log)
      : new KeptDevices(part.channel.kept === null ? null : part.channel, part.channel.kept ?? [], log);
  return {
    origins: part === null ? new VolumeOrigins(`${paths.stateDir}/origins.json`, log) : givenOrigins(part.origins),
    known: new KnownServers(paths.serversFile, log, part === null),
    absences: new Absences(`${paths.stateDir}/absences.json`, log),
    kept,
  };
}

/** The earlier objects of the daemon. */
export interface RoleParts extends Remembered {
  readonly current: Pick<CurrentConfig, 'config'>;
  readonly namespaces: Pick<Namespaces, 'list'>;
  readonly offers: Pick<OfferList, 'list'>;
  /** Gets each change that a data process reports. */
  readonly notifications: Pick<Notifications, 'add'>;
}

const NO_STORE: AttachedStore = { load: () => Promise.resolve(null), save: () => Promise.resolve() };

/** Passes an event of a data process to the main process, which has paths to the same servers and reports their events itself. */
export function passOn(channel: MainChannel, { object, from, to, reason }: EventView): void {
  if (/^(volume|mirror) /.test(object)) channel.event(object, from, to, reason);
}

export class ProcessRole {
  readonly processes: DataProcesses | null;
  readonly dataReached = new Signal('a data process has reached a server');
  private readonly options: RoleOptions;
  private readonly parts: RoleParts;

  constructor(options: RoleOptions, parts: RoleParts) {
    this.options = options;
    this.parts = parts;
    this.processes = options.processes === null ? null : newProcesses(options, options.processes, parts, this.dataReached.send);
  }

  get isData(): boolean {
    return this.options.part !== null;
  }

  /** Stores the list of the volumes of this process. A main process stores nothing here, because its data processes have the volumes. */
  store(current: () => AttachedContent): AttachedStore {
    const { part, paths, log } = this.options;
    if (part !== null) return part.channel.store(current);
    return this.processes === null ? new AttachedFile(paths.attachedFile, log, current) : NO_STORE;
  }

  /** True if the volume with this label belongs to this process of rsiod, not to another one. */
  isOwn(label: string): boolean {
    const { part } = this.options;
    return part === null ? this.processes?.has(label) !== true : part.channel.has(label);
  }

  /** Returns this process's part of a bound that holds for the client as a whole. */
  share(amount: number): number {
    return Math.floor(amount / (this.options.part?.processes ?? 1));
  }

  /** Returns the settings of the attachments of this process. */
  settingsOf({ logTotalBytes, busyPollUs }: RscltConfig): Pick<RscltConfig, 'logTotalBytes' | 'busyPollUs'> {
    return { logTotalBytes: this.share(logTotalBytes), busyPollUs };
  }

  /** A data process accepts no NBD connections; the main process passes them. */
  nbdOptions(): Partial<NbdFrontendOptions> {
    const budget = { limitBytes: this.share(NBD_FRONTEND_BYTES_MAX), reserveBytes: this.share(NBD_FRONTEND_RESERVE_BYTES) };
    if (this.isData) return { budget, listens: false, changed: (nbd) => this.exportsChanged(nbd) };
    return this.processes === null ? {} : { elsewhere: this.processes };
  }

  /** Called when a configuration may have changed the exports. */
  exportsChanged(nbd: Pick<NbdFrontend, 'facts'>): void {
    this.options.part?.channel.exportsChanged(() => nbd.facts());
  }

  /** Reads the lists of the data processes, and gives the devices that the keeper holds to the processes that reattach their volumes. */
  async load(): Promise<void> {
    const { processes } = this;
    const { origins, known, absences, kept } = this.parts;
    await Promise.all([origins.load(), known.load(), this.isData ? null : absences.load()]);
    if (processes === null) return;
    await processes.load(this.options.warn);
    for (const device of [...kept.left]) {
      if (!processes.give(device)) continue;
      kept.take(device);
      // The keeper holds another descriptor of the device.
      closeSync(device.fd);
    }
  }

  /** Called when this process has reached a server. */
  reached(): void {
    this.options.part?.channel.reached();
  }

  /** Applies a configuration to the data processes. */
  configure(config: RscltConfig): void {
    this.processes?.tell({ type: 'config', config });
    this.reopenLogs();
  }

  reopenLogs(): void {
    this.processes?.tell({ type: 'log', way: this.options.log.way });
  }

  handlers(own: ControlHandlers): ControlHandlers {
    const { namespaces, offers } = this.parts;
    if (this.processes === null) return own;
    return routed(own, {
      processes: this.processes,
      log: this.options.log,
      clock: this.options.clock,
      offers,
      whyMissing: (name, server) => whyMissing(namespaces.list, offers.list, name, server),
    });
  }
}

function newProcesses(
  { clock, log, identity, paths, warn, keeper }: RoleOptions,
  { count, spawn }: NonNullable<RoleOptions['processes']>,
  { current, offers, notifications, origins, kept }: RoleParts,
  reached: () => void,
): DataProcesses {
  return new DataProcesses({
    clock,
    log,
    count,
    spawn,
    boot: identity.boot,
    warning: warn,
    store: (current) => new AttachedFile(paths.attachedFile, log, current),
    devices: keeper === null ? null : new HeldDevices(keeper.link),
    begin: (number, attached, keptDevices) => {
      const { config } = current;
      return {
        type: 'begin',
        attached,
        kept: keptDevices,
        config,
        root: paths.root,
        node: config.namespaces[0]?.nodename ?? 'rsiod',
        log: log.way,
        identity: { ...identity, dataProcess: number },
        processes: count,
        origins: origins.of(attached.attached),
      };
    },
    isOffered: (label) => offers.list.some((offer) => labelOf(offer) === label),
    twinsOf: (label) => twinsOf(offers.list, label),
    guarded: (labels, server, attach) => origins.guarded(labels, server, offers.list, attach),
    pathsOf: (label) => {
      const note = kept.left.find((device) => labelOf(device.note) === label)?.note;
      return note === undefined ? pathsOf(label, current.config, paths) : [note.raw, note.block];
    },
    reached,
    event: ({ object, from, to, reason }) => notifications.add(object, from, to, reason),
  });
}

/** Returns the paths of the devices that the configuration gives the volume; empty if it gives none, or if `label` is not a valid label. */
function pathsOf(label: string, config: RscltConfig, { root, devDir }: RsiodPaths): readonly string[] {
  const { namespace = null, volume = '', universe = 0, snapshot = null } = parseVolumeName(label) ?? {};
  if (namespace === null) return [];
  const named = { namespace, name: snapshot === null ? volume : snapshotName(volume, snapshot), universe: universe ?? 0 };
  const { device, path } = effectiveVolumeOf(config, named);
  if (device === 'none' || device === 'nbd-socket') return [];
  try {
    const { raw, block } = devicePlaces(root, devDir, named, path);
    return [raw, block];
  } catch {
    return [];
  }
}
