// The mirrors that this client has attached or is attaching. Invariants: a request to attach ends within its time limit, and an attempt
// that fails leaves nothing running. The loss of an attached mirror to another client is reported once.

import type { EffectiveVolume } from '@rsio/common/config/effective-volume';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import type { Attachment } from '@rsio/protocol/client/attachment';
import type { ReplayLog } from '@rsio/protocol/client/replay/replay-log';
import type { VolumeTarget } from '@rsio/protocol/client/volume-target';
import { CopyBuffers } from '@rsio/protocol/mirror/copy/copy-buffers';
import type { Namespace } from '../network/namespace.ts';
import { AttachedMirror } from './attached-mirror.ts';

export interface MirrorsPorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info'>;
  random(): number;
  /** Instance number of this client, the same as in its sessions. */
  readonly instance: number;
  newLog(sizeBytes: number): ReplayLog | null;
  settings(namespace: string, name: string): EffectiveVolume;
  /** Called when another client has taken an attached mirror. All I/O of the mirror already fails. */
  ended(target: VolumeTarget, sentence: string): void;
  /** Called when an attached mirror has grown and its frontends must show the new size. */
  grown(target: VolumeTarget): void;
  note(object: string, from: string, to: string, sentence: string): void;
}

export interface MirrorAsk {
  readonly namespace: Namespace;
  readonly mirror: string;
  readonly name: string;
  readonly universe: number;
  readonly label: string;
  readonly readonly: boolean;
  readonly takesOver: boolean;
  /** See MirrorSeed. */
  readonly isAutomatic: boolean;
  readonly waitMs: number;
}

export class Mirrors {
  private readonly ports: MirrorsPorts;
  private readonly buffers = new CopyBuffers();
  private readonly attached = new Map<VolumeTarget, AttachedMirror>();

  constructor(ports: MirrorsPorts) {
    this.ports = ports;
  }

  /** The attached mirrors, in the order in which they were attached. */
  get all(): readonly AttachedMirror[] {
    return [...this.attached.values()];
  }

  of(target: VolumeTarget): AttachedMirror | null {
    return this.attached.get(target) ?? null;
  }

  /** Finds an attached mirror by name. `namespace`: null for any namespace. Throws E_UNKNOWN_VOLUME and E_AMBIGUOUS. */
  named({
    namespace,
    name,
    universe,
  }: {
    readonly namespace: string | null;
    readonly name: string;
    readonly universe: number;
  }): AttachedMirror {
    const volume = `${name}@${universe}`;
    const isNamed = ({ label }: AttachedMirror): boolean =>
      namespace === null ? label.endsWith(`:${volume}`) : label === `${namespace}:${volume}`;
    const [only, second] = [...this.attached.values()].filter(isNamed);
    const told = namespace === null ? volume : `${namespace}:${volume}`;
    if (only === undefined)
      throw new RsError('E_UNKNOWN_VOLUME', `No mirror ${told} is attached on this machine: give the command on the client that has it`);
    if (second === undefined) return only;
    throw new RsError('E_AMBIGUOUS', `${told} means ${only.label} and ${second.label}: name the namespace, as in NAMESPACE:${name}`);
  }

  /** Resolves when the mirror takes I/O. Throws E_HELD, E_TAKEN, or E_TIMEOUT with a text about what is missing. */
  async attach(ask: MirrorAsk): Promise<AttachedMirror> {
    const { label, waitMs } = ask;
    return await new Promise<AttachedMirror>((resolve, reject) => {
      const timer = this.ports.clock.after(waitMs, () => {
        const waitsFor = mirror.view?.waitsFor ?? 'No server answers';
        this.remove(mirror);
        reject(new RsError('E_TIMEOUT', `Mirror ${label} could not be attached within ${waitMs / 1000} s: ${waitsFor}`));
      });
      const mirror = this.make(
        ask,
        () => {
          timer.cancel();
          resolve(mirror);
        },
        (error) => {
          timer.cancel();
          reject(error);
        },
      );
      this.attached.set(mirror.io, mirror);
      mirror.driver.start();
    });
  }

  /** Ends the sessions of a mirror. Resolves when the servers have closed the replicas, or after CLOSE_WAIT_MS. */
  async stop(target: VolumeTarget): Promise<void> {
    const mirror = this.attached.get(target);
    this.attached.delete(target);
    await mirror?.stop();
  }

  /** Returns the attached mirror with this label, such as osl:db@0; null if no mirror with this label takes I/O. */
  serving(label: string): AttachedMirror | null {
    return [...this.attached.values()].find((one) => one.isServing && one.label === label) ?? null;
  }

  /**
   * Called when a server has grown a volume. Returns true if the volume is a replica; its mirror then reports the growth when the whole
   * mirror has grown.
   */
  replicaGrew(attachment: Attachment): boolean {
    const owner = [...this.attached.values()].find(({ driver }) => driver.attachments.includes(attachment));
    owner?.driver.look();
    return owner !== undefined;
  }

  /** Must be called when servers may have been connected or lost. */
  look(): void {
    for (const { driver } of this.attached.values()) driver.look();
  }

  settingsChanged(): void {
    for (const mirror of this.attached.values()) mirror.settingsChanged();
  }

  /** Called when an attachment has been opened. Does nothing if the attachment is not a replica of an attached mirror. */
  opened(attachment: Attachment, newLife: boolean): void {
    for (const { driver } of this.attached.values()) if (driver.opened(attachment, newLife)) return;
  }

  /** Called when an attachment has failed. Returns false if the attachment is not a replica of an attached mirror. */
  failed(attachment: Attachment, status: number, sentence: string): boolean {
    return [...this.attached.values()].some(({ driver }) => driver.failed(attachment, status, sentence));
  }

  private make(ask: MirrorAsk, serving: () => void, refused: (error: RsError) => void): AttachedMirror {
    const { namespace, mirror: id, name, universe, label, readonly, takesOver, isAutomatic } = ask;
    const { ports } = this;
    const settings = (): EffectiveVolume => ports.settings(namespace.config.name, name);
    let isServing = false;
    const servers = namespace.orderedServers.map((server) => ({ serverid: server.serverid, name: server.name }));
    const me = { node: namespace.config.nodename, instance: ports.instance };
    const mirror: AttachedMirror = new AttachedMirror(
      { mirror: id, name, universe, me, takesOver, isAutomatic, servers },
      {
        clock: ports.clock,
        volume: { namespace: namespace.config.name, name, universe },
        readonly,
        random: () => ports.random(),
        servers: () => namespace.orderedServers,
        newLog: () => ports.newLog(settings().logSizeBytes),
        settings,
        buffers: this.buffers,
        serving: () => {
          isServing = true;
          serving();
        },
        grown: (fromBytes) => {
          const toBytes = mirror.io.volume?.sizeBytes ?? fromBytes;
          ports.log.info(
            `Volume ${label} has grown from ${fromBytes} to ${toBytes} bytes on all servers: NBD clients must reconnect to see the new size`,
          );
          ports.note(`volume ${label}`, `${fromBytes} bytes`, `${toBytes} bytes`, 'All replicas in sync have grown');
          ports.grown(mirror.io);
        },
        ended: (code, sentence) => {
          this.remove(mirror);
          if (isServing) ports.ended(mirror.io, sentence);
          else refused(new RsError(code, sentence));
        },
        note: (what, from, to, sentence) => {
          ports.log.info(`Volume ${label}: the ${what}, which was ${from}, is ${to}: ${sentence}`);
          ports.note(`volume ${label}`, `${what}: ${from}`, to, sentence);
        },
      },
    );
    return mirror;
  }

  private remove(mirror: AttachedMirror): void {
    this.attached.delete(mirror.io);
    void mirror.stop();
  }
}
