// Records which volumes are attached, and who has them, for the next daemon. A volume that the previous daemon had attached is "awaited"
// until attached-list.ts has attached it again. Invariant: the record of a daemon that stops stays as it was when the daemon began to stop,
// because what it then detaches does not count as detached by the administrator.

import type { AwaitedView } from '@rsio/api/rsiod/methods';
import type { Log } from '@rsio/base/log/log';
import { isSnapshot } from '@rsio/base/lib/volume-name';
import { isSameBoot } from '@rsio/protocol/client-identity';
import type { EarlierAudience } from '../frontends/audience.ts';
import type { Server } from '../network/server.ts';
import type { Audience } from '../volumes/frontend-volume.ts';
import type { AttachedContent, AttachedStore, KeptVolume } from './attached-file.ts';
import type { AttachedVolumes } from './attached-volumes.ts';
import { DETACHED_KEPT_MAX } from './limits.ts';
import { labelOf } from './offers.ts';
import { UNRECORDED } from './owners.ts';

export type Listed = Pick<KeptVolume, 'namespace' | 'name' | 'universe' | 'id'>;

export interface Attached extends Listed {
  /** True if the volume was requested read-only; the next daemon requests the volume in the same mode. */
  readonly wantsReadonly: boolean;
  readonly shownTo?: Audience | undefined;
}

export interface Awaited extends KeptVolume {
  reason: string;
  notBeforeMs: number;
  /** Number of failed attempts. If servers offer the volume in several pools, each attempt goes to the owner of the next pool. */
  failures: number;
  /** The current attempt to attach the volume; null if there is none. */
  underWay: Promise<void> | null;
}

interface RecordParts<V> {
  readonly log: Pick<Log, 'info'>;
  /** Boot of the machine, as in its identity. After a reboot, only the configuration decides which volumes are attached. */
  readonly boot: string;
  readonly volumes: AttachedVolumes<V>;
  /** Creates the object that stores the record; `current` returns the record to save. */
  readonly store: (current: () => AttachedContent) => AttachedStore;
  /** Returns the volume's server; undefined if the server is no longer configured. */
  readonly serverOf: (volume: V) => Pick<Server, 'serverid' | 'name'> | undefined;
}

export class AttachedRecord<V extends Attached> {
  readonly volumes: AttachedVolumes<V>;
  /** True if a volume has left the list of awaited volumes since the record was last saved. */
  hasChanged = false;
  /** True after an attempt to attach each volume of the previous process and of the configuration. */
  hasRestored = false;
  private readonly parts: RecordParts<V>;
  private readonly store: AttachedStore;
  private earlier: readonly Awaited[] = [];
  /**
   * Labels and ids of the volumes that this daemon process has attached. The process closes these volumes itself, so a server's list that
   * still names this client as their holder is out of date.
   */
  private readonly had = new Set<string>();
  /** The record from the moment when the daemon begins to stop; null before that moment. */
  private atEnd: AttachedContent | null = null;

  constructor(parts: RecordParts<V>) {
    this.parts = parts;
    this.volumes = parts.volumes;
    this.store = parts.store(() => this.atEnd ?? this.content());
  }

  /** The awaited volumes, and those that only orders had, which are to be closed. */
  get waiting(): readonly Awaited[] {
    return this.earlier;
  }

  get awaited(): AwaitedView[] {
    // What only orders had is attached again for no one.
    const wanted = this.earlier.filter((one) => this.isOwned(one));
    return wanted.map(({ namespace, name, universe, id, readonly, server, reason }) => {
      return { namespace, name, universe, id, readonly, server, reason };
    });
  }

  /** True when the volumes of the previous process have been attached again. */
  get isSettled(): boolean {
    return this.hasRestored && this.awaited.length === 0;
  }

  /** Who had the volume before a restart, if it is being attached again. */
  audienceOf(volume: Listed): EarlierAudience {
    const before = this.earlier.find((one) => keyOf(one) === keyOf(volume));
    return before === undefined ? null : (before.shownTo ?? 'unknown');
  }

  isOwned(one: Listed): boolean {
    return !this.volumes.owners.isFree(labelOf(one));
  }

  isAwaited(one: Awaited): boolean {
    return this.earlier.includes(one);
  }

  /** The volume is no longer awaited. */
  forget(one: Awaited): void {
    this.earlier = this.earlier.filter((other) => other !== one);
  }

  /**
   * Reads which volumes the previous daemon had attached. Returns false if there is no record of this boot. If the record cannot be used,
   * `warn` is called with the reason.
   */
  async load(warn: (sentence: string) => void): Promise<boolean> {
    const { log, boot } = this.parts;
    const content = await this.store.load(warn);
    if (content === null) return false;
    if (!isSameBoot(content.boot, boot)) {
      const labels = content.attached.map(labelOf).join(', ');
      if (labels !== '') log.info(`Attached before the machine was booted, and not attached again for that: ${labels}`);
      return false;
    }
    const { detached, owners } = this.volumes;
    for (const key of content.detached) detached.add(key);
    this.earlier = content.attached.map((kept) => {
      return { ...kept, reason: outOfReach(kept.server), notBeforeMs: 0, failures: 0, underWay: null };
    });
    for (const one of this.earlier)
      for (const name of one.owners ?? [UNRECORDED.name]) {
        const id = isSnapshot(one.name) ? '' : one.id;
        owners.settle(owners.claim(labelOf(one), id, { kind: 'lasting', name }));
      }
    const [again, left] = [this.earlier.filter((one) => this.isOwned(one)), this.earlier.filter((one) => !this.isOwned(one))];
    if (again.length > 0) log.info(`Attached before, to be attached again: ${again.map(labelOf).join(', ')}`);
    if (left.length > 0) log.info(`Attached before by orders, to be closed: ${left.map(labelOf).join(', ')}`);
    return true;
  }

  /** Resolves when the record is saved, or could not be saved and this has been reported. */
  async save(): Promise<void> {
    if (this.atEnd !== null) return;
    this.hasChanged = false;
    this.noteAttached();
    for (const key of this.had) if (this.had.size > DETACHED_KEPT_MAX) this.had.delete(key);
    const attached = new Set(this.volumes.list.map(labelOf));
    // An attached volume replaces an awaited volume with the same label.
    this.earlier = this.earlier.filter((one) => !attached.has(labelOf(one)));
    await this.store.save();
  }

  /** Remembers that this process has attached the volumes that are attached now. */
  noteAttached(): void {
    for (const volume of this.volumes.list) this.had.add(keyOf(volume));
  }

  /** True if this process has attached the volume. */
  hasHad(volume: Listed): boolean {
    return this.had.has(keyOf(volume));
  }

  /** Called when the daemon is stopping. The next daemon reattaches the volumes that are attached or awaited now. */
  close(): void {
    this.atEnd ??= this.content();
  }

  get isClosed(): boolean {
    return this.atEnd !== null;
  }

  private content(): AttachedContent {
    const { boot, serverOf } = this.parts;
    const { list, detached, owners } = this.volumes;
    const owned = (volume: Listed): string[] => owners.lastingOf(labelOf(volume));
    const attached = list.flatMap((volume): KeptVolume[] => {
      const server = serverOf(volume);
      const { namespace, name, universe, id, wantsReadonly: readonly } = volume;
      if (server === undefined) return [];
      const from = { serverid: server.serverid, server: server.name };
      return [{ namespace, name, universe, id, readonly, ...from, owners: owned(volume), ...audienceIn(volume) }];
    });
    const labels = new Set(attached.map(labelOf));
    const waiting = this.earlier.flatMap((one): KeptVolume[] => {
      const { namespace, name, universe, id, readonly, serverid, server } = one;
      return labels.has(labelOf(one))
        ? []
        : [{ namespace, name, universe, id, readonly, serverid, server, owners: owned(one), ...audienceIn(one) }];
    });
    return { boot, attached: [...attached, ...waiting], detached: [...detached].slice(-DETACHED_KEPT_MAX) };
  }
}

/** Why a volume of a server that does not offer it is awaited. */
export function outOfReach(server: string): string {
  return `Server ${server} is not in reach`;
}

function audienceIn({ shownTo }: { readonly shownTo?: Audience | undefined }): Pick<KeptVolume, 'shownTo'> {
  return shownTo === undefined || shownTo === 'orders' ? {} : { shownTo };
}

function keyOf(volume: Listed): string {
  return `${labelOf(volume)} ${volume.id}`;
}
