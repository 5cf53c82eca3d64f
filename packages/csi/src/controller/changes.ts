// ControllerExpandVolume and ControllerModifyVolume: growth and limits of I/O, also while nodes use the volume. Invariant: a volume never
// shrinks.

import { quoteText } from '@rsio/base/lib/units';
import { parseVolumeId } from '../product/ids.ts';
import type { Found } from '../product/volumes.ts';
import { filled, invalid, rangeOf, sizeIn, useOf } from '../rpc/fields.ts';
import type { ExpandRequest, Texts } from '../rpc/messages.ts';
import { CsiError } from '../rpc/status.ts';
import type { ControllerParts } from './controller-parts.ts';
import { onlyHolder } from './mirrors.ts';
import { mutableSettingsOf } from './parameters.ts';

export class Changes {
  private readonly parts: ControllerParts;

  constructor(parts: ControllerParts) {
    this.parts = parts;
  }

  async expand(request: ExpandRequest): Promise<{ readonly capacityBytes: number; readonly nodeExpansionRequired: boolean }> {
    const { volumeId, capacityRange, volumeCapability } = request;
    const id = parseVolumeId(filled(volumeId, 'volume_id'));
    if (capacityRange === null || (capacityRange.requiredBytes === 0 && capacityRange.limitBytes === 0))
      throw invalid('Field capacity_range is empty: give the new size');
    const nodeExpansionRequired = volumeCapability === null || useOf(volumeCapability).kind === 'mount';
    const range = rangeOf(capacityRange);
    const bytesFor = (hasBytes: number): number => (range.requiredBytes <= hasBytes ? hasBytes : sizeIn(range, hasBytes));
    if (id?.kind === 'mirror') {
      const mirror = await this.parts.volumes.mirror(id.uuid);
      const hasBytes = mirror?.sizeBytes ?? 0;
      if (mirror !== null && bytesFor(hasBytes) > hasBytes)
        throw onlyHolder(mirror.name, 'make it larger', `rsconfig mirror grow ${mirror.name} ${bytesFor(hasBytes)}`);
      if (mirror !== null) return { capacityBytes: hasBytes, nodeExpansionRequired };
    }
    const { server, volume } = await this.found(volumeId);
    const hasBytes = volume.sizeBytes ?? 0;
    const sizeBytes = bytesFor(hasBytes);
    if (range.limitBytes !== null && hasBytes > range.limitBytes)
      throw new CsiError(
        'OUT_OF_RANGE',
        `Volume ${volume.name} has ${hasBytes} bytes, more than the permitted ${range.limitBytes}: permit more`,
      );
    if (sizeBytes > hasBytes) {
      const at = { name: volume.name, universe: volume.universe };
      await this.parts.orders.at(server, 'volume-grow', { ...at, sizeBytes, pool: null, mirror: null, request: this.parts.newId() });
    }
    return { capacityBytes: sizeBytes, nodeExpansionRequired };
  }

  async modify({ volumeId, mutableParameters }: { readonly volumeId: string; readonly mutableParameters: Texts }): Promise<object> {
    filled(volumeId, 'volume_id');
    const id = parseVolumeId(volumeId);
    if (id?.kind === 'mirror' && (await this.parts.volumes.mirror(id.uuid)) !== null)
      throw invalid('The I/O of a mirror cannot be limited: use a volume that is no mirror');
    const { server, volume } = await this.found(volumeId);
    const settings = mutableSettingsOf(mutableParameters);
    if (settings.length === 0) return {};
    await this.parts.orders.at(server, 'volume-set', {
      name: volume.name,
      universe: volume.universe,
      settings,
      request: this.parts.newId(),
    });
    return {};
  }

  private async found(volumeId: string): Promise<Found> {
    const id = parseVolumeId(volumeId);
    const found = id?.kind !== 'volume' ? null : await this.parts.volumes.byId(id.uuid);
    if (found === null) throw new CsiError('NOT_FOUND', `Volume ${quoteText(volumeId)} does not exist: name one that exists`);
    return found;
  }
}
