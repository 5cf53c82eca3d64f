// Who holds which volume, and which instance of a node is the last (docs/PROTOCOL.md H1, H2, H4). Kept durably before anything is granted:
// a hold survives restarts, and ends only by CLOSE or by a new instance of the same node, never by time.
// Invariant: a volume that is not shared has one writer, or readers only; each change of writer adds one to its epoch.

import { StateFile, type StateForm } from '@rsio/protocol/lib/state-file';
import { isListOf, isRecord, isRecordOf, isText, isWhole } from '@rsio/protocol/lib/state-values';
import { formatTime, TIME_MAX_MS } from '@rsio/protocol/lib/log-line';
import { isName } from '@rsio/protocol/lib/units';
import type { Holder, OpenRequest } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import type { ClientIdentity } from './channel.ts';
import type { ServedVolume } from './served-volume.ts';
import type { Grant } from './session-volumes.ts';

interface Hold {
  readonly node: string;
  readonly machine: string;
  readonly instance: number;
  readonly address: string;
  readonly sinceMs: number;
  readonly readonly: boolean;
}

interface VolumeHolds {
  readonly epoch: number;
  readonly holds: readonly Hold[];
}

interface Content {
  readonly volumes: Readonly<Record<string, VolumeHolds>>;
  /** `node machine` -> highest instance seen. */
  readonly instances: Readonly<Record<string, number>>;
}

const FORM: StateForm<Content> = {
  version: 1,
  accepts: isContent,
  remedy: 'restore it, or move it away if every client that holds a volume has ended',
};

export class Holders {
  private readonly file: StateFile<Content>;
  private readonly volumes = new Map<string, VolumeHolds>();
  private readonly instances = new Map<string, number>();
  private readonly wallMs: () => number;

  constructor(path: string, wallMs: () => number) {
    this.wallMs = wallMs;
    this.file = new StateFile<Content>(path, FORM, () => ({
      volumes: Object.fromEntries(this.volumes),
      instances: Object.fromEntries(this.instances),
    }));
  }

  /** Throws E_SYSTEM when the state file cannot be used. */
  async load(): Promise<void> {
    const content = await this.file.load();
    if (content === null) return;
    for (const [id, volume] of Object.entries(content.volumes)) this.volumes.set(id, volume);
    for (const [key, instance] of Object.entries(content.instances)) this.instances.set(key, instance);
  }

  of(volumeId: string): Holder[] {
    return (this.volumes.get(volumeId)?.holds ?? []).map(({ node, address, sinceMs }) => ({ node, address, sinceMs }));
  }

  /** False: a later instance of this node was seen on the same machine; this one is refused for ever. */
  isCurrent(client: ClientIdentity): boolean {
    return client.instance >= (this.instances.get(instanceKey(client)) ?? 0);
  }

  /** A proven instance; durable when it resolves. */
  async noteInstance(client: ClientIdentity): Promise<void> {
    const key = instanceKey(client);
    const before = this.instances.get(key);
    if (before === client.instance) return;
    this.instances.set(key, client.instance);
    try {
      await this.file.save();
    } catch (error) {
      // Whoever comes again must find it not noted, or it would be let in with nothing kept.
      if (this.instances.get(key) === client.instance) {
        if (before === undefined) this.instances.delete(key);
        else this.instances.set(key, before);
      }
      throw error;
    }
  }

  /** Asks for a hold; a grant is durable when it resolves. `life`: the storage's. */
  async grant(volume: ServedVolume, client: ClientIdentity, request: OpenRequest, life: string): Promise<Grant> {
    const readonly = request.readonly || volume.readonly;
    const entry = this.volumes.get(volume.id) ?? { epoch: 0, holds: [] };
    const others = entry.holds.filter((hold) => hold.node !== client.node);
    if (!volume.shared && !(readonly && others.every((hold) => hold.readonly)) && others.length > 0) return this.refuse(volume, others);
    const own = entry.holds.find((hold) => hold.node === client.node);
    const isOwn = own !== undefined && own.instance === client.instance && own.machine === client.machine;
    // A second handle for reading only does not make a reader of who writes by the first.
    const onlyReads = readonly && !(isOwn && !own.readonly);
    if (!isOwn || own.readonly !== onlyReads) {
      const { node, machine, instance, address } = client;
      const hold = { node, machine, instance, address, sinceMs: this.wallMs(), readonly: onlyReads };
      await this.change(volume.id, { epoch: entry.epoch + 1, holds: [...others, hold] });
    }
    const epoch = this.volumes.get(volume.id)?.epoch ?? 0;
    // Readers join and leave without touching each other's identity; a writer's is its epoch.
    const identity = readonly ? `${volume.id}.readonly` : volume.shared ? `${volume.id}.shared` : `${volume.id}.${epoch}`;
    return { granted: true, volume, readonly, identity, life };
  }

  /** Not held any more at once, also when that cannot be kept (it throws then): the next change that is kept says so too. */
  async release(volumeId: string, client: ClientIdentity): Promise<void> {
    const entry = this.volumes.get(volumeId);
    if (entry === undefined) return;
    const left = entry.holds.filter((hold) => hold.node !== client.node || hold.instance !== client.instance);
    if (left.length === entry.holds.length) return;
    this.volumes.set(volumeId, { epoch: entry.epoch + 1, holds: left });
    await this.file.save();
  }

  /** Durable when it resolves; what cannot be kept is not so. */
  private async change(volumeId: string, to: VolumeHolds): Promise<void> {
    const before = this.volumes.get(volumeId);
    this.volumes.set(volumeId, to);
    try {
      await this.file.save();
    } catch (error) {
      if (this.volumes.get(volumeId) === to) {
        if (before === undefined) this.volumes.delete(volumeId);
        else this.volumes.set(volumeId, before);
      }
      throw error;
    }
  }

  private refuse(volume: ServedVolume, others: readonly Hold[]): Grant {
    const [first] = others;
    const since = first === undefined ? '?' : formatTime(first.sinceMs);
    const sentence = `Volume ${volume.name} is held by ${first?.node ?? '?'} at ${first?.address ?? '?'} since ${since}: detach it there with rsconfig -d ${volume.name}`;
    return {
      granted: false,
      status: STATUS.HELD,
      sentence,
      holders: others.map(({ node, address, sinceMs }) => ({ node, address, sinceMs })),
    };
  }
}

function instanceKey(client: ClientIdentity): string {
  return `${client.node} ${client.machine}`;
}

/** As strict as the messages that name holders: one that cannot be told would fail every LIST and every refused OPEN. */
function isHold(value: unknown): value is Hold {
  if (!isRecord(value)) return false;
  const { node, machine, instance, address, sinceMs, readonly } = value;
  const isTellable = isText(node) && isName(node) && isWhole(sinceMs) && sinceMs >= 0 && sinceMs <= TIME_MAX_MS;
  return isTellable && [machine, address].every(isText) && isWhole(instance) && typeof readonly === 'boolean';
}

function isVolumeHolds(value: unknown): value is VolumeHolds {
  return isRecord(value) && isWhole(value['epoch']) && isListOf(value['holds'], isHold);
}

function isContent(value: unknown): value is Content {
  return isRecord(value) && isRecordOf(value['volumes'], isVolumeHolds) && isRecordOf(value['instances'], isWhole);
}
