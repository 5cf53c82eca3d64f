// The service Node: the table of its calls, and the calls about size, use and health. Invariants: calls about the same volume run one at a
// time. A question about a volume whose I/O waits is answered without touching its file system, which would wait too.

import { sleep, within } from '@rsio/base/lib/waiting';
import type { Clock } from '@rsio/base/lib/clock';
import { quoteText } from '@rsio/base/lib/units';
import { GROWN_LOOK_MS, GROWN_WAIT_MS, NODE_VOLUMES_MAX, STATFS_MAX_MS } from '../limits.ts';
import type { RsiodCall } from '../product/orders.ts';
import { topologyOf } from '../product/topology.ts';
import type { Calls } from '../rpc/calls.ts';
import { filled, pathOf, rangeOf, useOf } from '../rpc/fields.ts';
import type { NodeExpandRequest, NodePublishRequest, PathRequest, StageRequest } from '../rpc/messages.ts';
import type { Service } from '../rpc/rpc-server.ts';
import { CsiError } from '../rpc/status.ts';
import { type Attached, Devices } from './devices.ts';
import type { HostMount, NodeHost, Usage } from './host.ts';
import type { Records, StageRecord } from './records.ts';
import { mountAt, Staging } from './stage.ts';
import { Targets } from './targets.ts';

const CAPABILITIES = ['STAGE_UNSTAGE_VOLUME', 'GET_VOLUME_STATS', 'EXPAND_VOLUME', 'VOLUME_CONDITION', 'SINGLE_NODE_MULTI_WRITER'] as const;

export interface NodePorts {
  readonly clock: Clock;
  readonly calls: Calls;
  readonly rsiod: RsiodCall;
  readonly namespace: string | null;
  readonly host: NodeHost;
  readonly records: Records;
}

export function nodeService(ports: NodePorts): Service {
  const { calls, rsiod, namespace } = ports;
  const parts = { ...ports, devices: new Devices(rsiod, namespace) };
  const staging = new Staging(parts);
  const targets = new Targets(parts, staging);
  const care = new Care(parts, staging);
  const about = <T>({ volumeId }: { readonly volumeId: string }, work: () => Promise<T>): Promise<T> =>
    calls.alone(`volume ${volumeId}`, work);
  return {
    handlers: {
      NodeStageVolume: (request: StageRequest) => about(request, () => staging.stage(request)),
      NodeUnstageVolume: (request: PathRequest) => about(request, () => staging.unstage(request)),
      NodePublishVolume: (request: NodePublishRequest) => about(request, () => targets.publish(request)),
      NodeUnpublishVolume: (request: PathRequest) => about(request, () => targets.unpublish(request)),
      NodeExpandVolume: (request: NodeExpandRequest) => about(request, () => care.expand(request)),
      NodeGetVolumeStats: (request: PathRequest) => care.stats(request),
      NodeGetCapabilities: async () => ({ capabilities: CAPABILITIES.map((type) => ({ rpc: { type } })) }),
      NodeGetInfo: () => care.info(),
    },
  };
}

type Parts = NodePorts & { readonly devices: Devices };

/** A volume at a path of this node. */
interface Place {
  readonly record: StageRecord;
  readonly attached: Attached;
  readonly path: string;
}

class Care {
  private readonly ports: Parts;
  private readonly staging: Staging;

  constructor(ports: Parts, staging: Staging) {
    this.ports = ports;
    this.staging = staging;
  }

  async info(): Promise<object> {
    const namespace = await this.ports.devices.namespace();
    const site = { namespace: namespace.name, namespaceid: namespace.namespaceid };
    return { nodeId: namespace.nodename, maxVolumesPerNode: NODE_VOLUMES_MAX, accessibleTopology: topologyOf(site) };
  }

  async expand({ volumeId, volumePath, capacityRange, volumeCapability }: NodeExpandRequest): Promise<{ readonly capacityBytes: number }> {
    const { requiredBytes } = rangeOf(capacityRange);
    if (volumeCapability !== null) useOf(volumeCapability);
    const { record, attached, path } = await this.placeOf(volumeId, volumePath);
    const sizeBytes = await this.grown(attached, requiredBytes);
    if (record.kind === 'mount') {
      if (record.isReadonly)
        throw new CsiError('FAILED_PRECONDITION', `Volume ${record.label} is attached read-only: its file system cannot grow here`);
      await this.staging.fileSystems.enlarge(record.fsType, attached.device, path);
    }
    return { capacityBytes: sizeBytes };
  }

  async stats({ volumeId, volumePath }: PathRequest): Promise<object> {
    const { record, attached, path } = await this.placeOf(volumeId, volumePath);
    if (attached.waitsFor !== null)
      return { usage: [], volumeCondition: { abnormal: true, message: `The I/O of the volume waits: ${attached.waitsFor}` } };
    const volumeCondition = { abnormal: false, message: 'The volume is attached' };
    if (record.kind === 'block') return { usage: [{ unit: 'BYTES', total: attached.sizeBytes }], volumeCondition };
    const mounts = await this.ports.host.mounts();
    const mounted = mountAt(mounts, record.stagingPath) ?? mountAt(mounts, path);
    const fault = mounted === null ? null : await this.staging.fileSystems.faultOf(mounted);
    if (fault !== null) return { usage: [], volumeCondition: { abnormal: true, message: `The file system has failed: ${fault}` } };
    const usage = await this.inTime(this.ports.host.usageOf(path));
    if (usage === null) return { usage: [], volumeCondition: { abnormal: true, message: `The file system at ${path} does not answer` } };
    const errors = record.fsType === 'ext4' ? await this.ports.host.errorsOf(attached.device) : 0;
    const { totalBytes, availableBytes, usedBytes, totalInodes, freeInodes } = usage;
    return {
      usage: [
        { unit: 'BYTES', total: totalBytes, available: availableBytes, used: usedBytes },
        { unit: 'INODES', total: totalInodes, available: freeInodes, used: totalInodes - freeInodes },
      ],
      volumeCondition:
        errors === 0
          ? volumeCondition
          : {
              abnormal: true,
              message: `ext4 has recorded ${errors} errors: delete the pods that use it, and it is checked before the next one`,
            },
    };
  }

  /** Throws NOT_FOUND unless the volume is at this path. */
  private async placeOf(volumeId: string, volumePath: string): Promise<Place> {
    const { devices, host, records } = this.ports;
    filled(volumeId, 'volume_id');
    const path = pathOf(volumePath, 'volume_path');
    const record = await records.load(volumeId);
    const attached = record === null ? null : await devices.find(volumeId);
    if (record === null || attached === null)
      throw new CsiError('NOT_FOUND', `Volume ${quoteText(volumeId)} is not on this node: stage it first`);
    const missing = new CsiError('NOT_FOUND', `Volume ${record.label} is not at ${path}: name the path where it is published or staged`);
    const { device } = await this.staging.deviceOf(attached);
    const mounts = await host.mounts();
    if (record.kind === 'mount' ? mountAt(mounts, path)?.device !== device : !(await this.hasDevice(path, device, mounts))) throw missing;
    return { record, attached, path };
  }

  /** True if the device of the volume is mounted on the file at this path. */
  private async hasDevice(path: string, device: string, mounts: readonly HostMount[]): Promise<boolean> {
    const found = await this.ports.host.kindOf(path);
    return found.kind === 'device' && found.device === device && mountAt(mounts, path) !== null;
  }

  /**
   * Waits until the kernel knows the new size of the volume, and returns this size. rsiod knows the size a moment earlier, and a file
   * system that is enlarged in that moment would keep its old size.
   */
  private async grown({ label, device, sizeBytes }: Attached, requiredBytes: number): Promise<number> {
    const { clock, host } = this.ports;
    const untilMs = clock.monotonicMs() + GROWN_WAIT_MS;
    for (;;) {
      const hasBytes = await host.sizeOf(device);
      if (hasBytes >= Math.max(requiredBytes, sizeBytes)) return hasBytes;
      if (clock.monotonicMs() >= untilMs)
        throw new CsiError(
          'UNAVAILABLE',
          `Volume ${label} has ${hasBytes} bytes on this node, and ${requiredBytes} are required: grow it first`,
        );
      await sleep(clock, GROWN_LOOK_MS);
    }
  }

  /** Returns null if the file system does not answer in time. */
  private inTime(work: Promise<Usage>): Promise<Usage | null> {
    return within(this.ports.clock, STATFS_MAX_MS, work, () => null);
  }
}
