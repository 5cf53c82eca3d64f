// What rsiod and the servers say about the volumes of applications, and the orders to rsiod. Invariant: every request ends within a time limit;
// an rsiod that does not answer is reported as such, and never as volumes that are not attached.

import { callControl } from '@rsio/api/rsiod/call-rsiod';
import type { AttachmentView } from '@rsio/api/rsiod/methods';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { RSIOD_ANSWER_MS, RSIOD_CHANGE_MS } from '../limits.ts';

/** What the servers say about the first volume of an application. */
export interface VolumeFacts {
  readonly id: string;
  /** Name of this node on the servers of the volume. */
  readonly node: string;
  readonly isSure: boolean;
  readonly holder: string | null;
  readonly note: string | null;
  readonly why: string | null;
}

export interface Attached {
  readonly label: string;
  readonly device: string;
  /** No other node can write to it while it is attached here. */
  readonly isExclusive: boolean;
}

/** `awaited`: labels of volumes that rsiod is about to attach again after a restart, and whose devices may still be there. */
export interface Volumes {
  readonly attached: readonly Attached[];
  readonly awaited: readonly { readonly label: string }[];
}

export interface Sight {
  /** Throws if rsiod does not answer. */
  volumes(): Promise<Volumes>;
  facts(volume: string, fresh: boolean): Promise<VolumeFacts>;
  /** For how long the servers have not seen each node. */
  silentMs(volume: string, nodes: readonly string[]): Promise<Readonly<Record<string, number>>>;
  writeNote(volume: string, note: string): Promise<void>;
  /**
   * Attaches one volume for an application, or claims it if it is attached. `take`: takes the volume from its holder, if the holder is proven
   * to have ended.
   */
  attach(volume: string, take: boolean, app: string): Promise<void>;
  /** Throws E_IN_USE if the volume stays attached, because it has another owner. No other node can have it then. */
  detach(volume: string, app: string): Promise<void>;
}

export class RsiodSight implements Sight {
  private readonly socket: string;
  private readonly clock: Clock;

  constructor(socket: string, clock: Clock) {
    this.socket = socket;
    this.clock = clock;
  }

  async volumes(): Promise<Volumes> {
    const { attachments, awaited } = await callControl(this.socket, 'local', {}, this.within(RSIOD_ANSWER_MS));
    return { attached: attachments.map(attachedOf), awaited: awaited.map((one) => ({ label: labelOf(one) })) };
  }

  async facts(volume: string, fresh: boolean): Promise<VolumeFacts> {
    return await callControl(this.socket, 'volume-note', { volume, fresh }, this.within(RSIOD_ANSWER_MS)).catch((thrown: unknown) => {
      if (toRsError(thrown).code !== 'E_UNKNOWN_VOLUME') throw thrown;
      throw new RsError('E_UNKNOWN_VOLUME', `No server in reach has volume ${volume}: see rsconfig volume list`, {}, thrown);
    });
  }

  async silentMs(volume: string, nodes: readonly string[]): Promise<Readonly<Record<string, number>>> {
    if (nodes.length === 0) return {};
    const seen = await callControl(this.socket, 'nodes-seen', { volume, nodes }, this.within(RSIOD_ANSWER_MS));
    return Object.fromEntries(seen.nodes.map(({ node, silentMs }) => [node, silentMs]));
  }

  async writeNote(volume: string, note: string): Promise<void> {
    await callControl(this.socket, 'volume-note-set', { volume, note }, this.change);
  }

  async attach(volume: string, take: boolean, app: string): Promise<void> {
    const order = { names: [volume], readOnly: false, server: null, take: take ? 'over' : 'no', owner: ownerOf(app) } as const;
    firstError((await callControl(this.socket, 'attach', order, this.change)).outcomes);
  }

  async detach(volume: string, app: string): Promise<void> {
    const order = { names: [volume], force: false, owner: ownerOf(app) };
    firstError((await callControl(this.socket, 'detach', order, this.change)).outcomes);
    const { attached } = await this.volumes();
    const left = attached.find((one) => isNamed(volume, one));
    if (left !== undefined)
      throw new RsError(
        'E_IN_USE',
        `${left.label} stays attached here, because a person or another program wants it: no other node can have it until rsconfig -d ${left.label}`,
      );
  }

  private within(timeoutMs: number): { readonly timeoutMs: number; readonly clock: Clock } {
    return { timeoutMs, clock: this.clock };
  }

  /** With `by`, rsiod logs that rsapp asks for a change. Queries omit it, because they come each second and would fill the log. */
  private get change(): { readonly timeoutMs: number; readonly clock: Clock; readonly by: string } {
    return { ...this.within(RSIOD_CHANGE_MS), by: 'rsapp' };
  }
}

/** The owner of what an application has attached. */
function ownerOf(app: string): string {
  return `rsapp:${app}`;
}

function firstError(outcomes: readonly { readonly error: { readonly code: string; readonly message: string } | null }[]): void {
  const error = outcomes.find((one) => one.error !== null)?.error;
  if (error !== undefined && error !== null) throw new RsError(toRsError(error).code, error.message);
}

function attachedOf(attachment: AttachmentView): Attached {
  return { label: labelOf(attachment), device: attachment.blockDevice, isExclusive: !attachment.shared && !attachment.readonly };
}

function labelOf({ namespace, name, universe }: Pick<AttachmentView, 'namespace' | 'name' | 'universe'>): string {
  return `${namespace}:${name}@${universe}`;
}

/** True if the name of a volume in the configuration means the attached volume. */
export function isNamed(volume: string, { label }: { readonly label: string }): boolean {
  const [, namespace, name = '', universe = '0'] = /^(?:([^:]+):)?([^@]+)(?:@([0-3]))?$/.exec(volume) ?? [];
  const own = `${name}@${universe}`;
  return namespace === undefined ? label.endsWith(`:${own}`) : label === `${namespace}:${own}`;
}
