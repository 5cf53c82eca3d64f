// Attaches and detaches volumes by their ids, through the rsiod of this machine. Invariants: a volume counts as attached only if its id is
// that of the call, because another volume can have its name. The node asks for nothing that its own client may not do. What the driver
// stages is attached for the owner `csi`, also if it was attached before, so that nobody's detach ends what another still wants.

import type { AttachmentView, AttachOutcome, ControlMethods } from '@rsio/api/rsiod/methods';
import { ERRORS, type ErrorCode, RsError } from '@rsio/base/lib/errors';
import { quoteText } from '@rsio/base/lib/units';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import { parseVolumeId } from '../product/ids.ts';
import { chooseNamespace, type RsiodCall } from '../product/orders.ts';
import { CsiError } from '../rpc/status.ts';

/** The owner of the driver's attachments. */
const OWNER = 'csi';

type Namespace = ControlMethods['query']['result']['namespaces'][number];

export interface Attached {
  readonly label: string;
  /** Path of the block device. */
  readonly device: string;
  readonly sizeBytes: number;
  readonly isReadonly: boolean;
  /** What its I/O waits for; null: nothing. */
  readonly waitsFor: string | null;
}

export class Devices {
  private readonly rsiod: RsiodCall;
  private readonly wanted: string | null;

  constructor(rsiod: RsiodCall, namespace: string | null) {
    this.rsiod = rsiod;
    this.wanted = namespace;
  }

  async namespace(): Promise<Namespace> {
    const { namespaces } = await this.rsiod('query', { refresh: false });
    return chooseNamespace(namespaces, this.wanted);
  }

  /** Returns the attached volume with this id; null if it is not attached. */
  async find(volumeId: string): Promise<Attached | null> {
    const id = parseVolumeId(volumeId);
    if (id === null) return null;
    const { attachments } = await this.rsiod('local', {});
    const found = attachments.find((one) => one.id === id.uuid && (this.wanted === null || one.namespace === this.wanted));
    return found === undefined ? null : this.viewOf(found);
  }

  /** Attaches the volume with this id, or claims it if it is attached. Throws NOT_FOUND if no server offers it to this client. */
  async attach(volumeId: string, isReadonly: boolean): Promise<Attached> {
    const before = await this.find(volumeId);
    if (before !== null && before.isReadonly !== isReadonly)
      throw new CsiError(
        'FAILED_PRECONDITION',
        `Volume ${before.label} is attached ${modeOf(before.isReadonly)} on this node: unstage it, or detach it (rsconfig -d ${before.label})`,
      );
    const label = before?.label ?? (await this.labelOf(volumeId));
    const { outcomes } = await this.rsiod('attach', { names: [label], readOnly: isReadonly, server: null, take: 'no', owner: OWNER });
    checkOutcome(outcomes[0], label);
    const attached = await this.find(volumeId);
    if (attached === null) throw new CsiError('ABORTED', `Volume ${label} was renamed or detached meanwhile: repeat the call`);
    return attached;
  }

  /** Detaches the volume with this id, if it is attached and has no other owner. */
  async detach(volumeId: string): Promise<void> {
    const attached = await this.find(volumeId);
    if (attached === null) return;
    const { outcomes } = await this.rsiod('detach', { names: [attached.label], force: false, owner: OWNER });
    checkOutcome(outcomes[0], attached.label);
  }

  private async labelOf(volumeId: string): Promise<string> {
    const id = parseVolumeId(volumeId);
    // rsiod asks the servers again, because the volume was given to this client a moment ago.
    const { namespaces } = await this.rsiod('query', { refresh: true });
    const { name: namespace, nodename, servers } = chooseNamespace(namespaces, this.wanted);
    for (const { volumes } of servers) {
      const found = volumes.find((one) => (id?.kind === 'mirror' ? one.mirror : one.mirror === null ? one.id : null) === id?.uuid);
      if (found !== undefined) return volumeLabel({ namespace, name: found.name, universe: found.universe });
    }
    const silent = servers.find(({ state }) => state !== 'connected');
    if (silent !== undefined)
      throw new CsiError(
        'UNAVAILABLE',
        `The servers that answer do not offer volume ${quoteText(volumeId)}, and server ${silent.name} is ${silent.state}: repeat the call when it answers`,
      );
    throw new CsiError('NOT_FOUND', `No server offers volume ${quoteText(volumeId)} to client ${nodename}: publish it to this node first`);
  }

  private async viewOf(view: AttachmentView): Promise<Attached> {
    const label = volumeLabel(view);
    const device = view.blockDevice;
    if (!device.startsWith('/'))
      throw new CsiError('FAILED_PRECONDITION', `Volume ${label} has no block device: set device = block in rscltcfg of this node`);
    const { waiting } = view.state === 'waiting' ? await this.rsiod('status', {}) : { waiting: [] };
    const waitsFor = view.state === 'waiting' ? (waiting.find((one) => one.volume === label)?.waitsFor ?? 'its server') : null;
    return { label, device, sizeBytes: view.blocks * view.blockSizeBytes, isReadonly: view.readonly, waitsFor };
  }
}

function modeOf(isReadonly: boolean): string {
  return isReadonly ? 'read-only' : 'read-write';
}

/** Throws the error of rsiod, if there is one. */
function checkOutcome(outcome: AttachOutcome | undefined, label: string): void {
  if (outcome === undefined || outcome.done) return;
  const { code = '', message = 'rsiod gave no reason: see its log (rsclogcat)' } = outcome.error ?? {};
  throw new RsError(Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : 'E_VOLUME', `${label}: ${message}`);
}
