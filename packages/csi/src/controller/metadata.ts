// SnapshotMetadata: which bytes of a snapshot an incremental backup must read. The ranges that differ come from `volume-diff`, which the
// server answers from its file system. A server does not list the allocated ranges of a snapshot, so GetMetadataAllocated names the whole
// snapshot, which is more than needed and never less. Invariant: a byte that differs is always in a range.

import type { SnapshotId } from '../product/ids.ts';
import { parseSnapshotId } from '../product/ids.ts';
import type { Orders } from '../product/orders.ts';
import { LIST_ENTRIES_MAX } from '../limits.ts';
import { entriesOf, filled, invalid } from '../rpc/fields.ts';
import type { AllocatedRequest, DeltaRequest, Metadata } from '../rpc/messages.ts';
import { CsiError } from '../rpc/status.ts';
import { quoteText } from '@rsio/base/lib/units';
import type { FoundSnapshot } from './mirror-snapshots.ts';
import type { SnapshotRules } from './snapshots.ts';

interface Block {
  readonly byteOffset: number;
  readonly sizeBytes: number;
}

export class SnapshotMetadata {
  private readonly orders: Orders;
  private readonly snapshots: Pick<SnapshotRules, 'find'>;

  constructor(orders: Orders, snapshots: Pick<SnapshotRules, 'find'>) {
    this.orders = orders;
    this.snapshots = snapshots;
  }

  async *allocated({ snapshotId, startingOffset, maxResults }: AllocatedRequest): AsyncGenerator<Metadata> {
    entriesOf(maxResults, LIST_ENTRIES_MAX);
    const { snapshot } = await this.found(snapshotId, 'snapshot_id');
    checkOffset(startingOffset, snapshot.sizeBytes);
    const sizeBytes = snapshot.sizeBytes - startingOffset;
    yield metadataOf(snapshot.sizeBytes, sizeBytes === 0 ? [] : [{ byteOffset: startingOffset, sizeBytes }]);
  }

  async *delta({ baseSnapshotId, targetSnapshotId, startingOffset, maxResults }: DeltaRequest): AsyncGenerator<Metadata> {
    const max = entriesOf(maxResults, LIST_ENTRIES_MAX);
    const bases = (await this.found(baseSnapshotId, 'base_snapshot_id')).places;
    const targets = (await this.found(targetSnapshotId, 'target_snapshot_id')).places;
    const baseAt = (id: string | null) => bases.find(({ of }) => of.volume.id === id);
    // Snapshots of a mirror can be compared on a server that has both.
    const target = targets.find(({ of }) => baseAt(of.volume.id) !== undefined);
    const base = baseAt(target?.of.volume.id ?? null);
    if (target === undefined || base === undefined)
      throw invalid('The snapshots are of different volumes, or no server has both: name two snapshots of one volume');
    const { server, volume } = target.of;
    if (base.snapshot.createdMs > target.snapshot.createdMs) throw invalid('The base is newer than the target: exchange them');
    checkOffset(startingOffset, target.snapshot.sizeBytes);
    const between = { name: volume.name, universe: volume.universe, snapshot: base.snapshot.snapshot, until: target.snapshot.snapshot };
    let offsetBytes = startingOffset;
    for (;;) {
      const part = await this.orders.at(server, 'volume-diff', { ...between, offsetBytes });
      if (part.snapshotId !== base.snapshot.id || part.untilId !== target.snapshot.id)
        throw new CsiError('NOT_FOUND', 'A snapshot was removed, and another one has its name: list the snapshots again');
      const blocks = part.ranges.flatMap((range): Block[] => {
        const begin = Math.max(range.offsetBytes, startingOffset);
        const end = range.offsetBytes + range.lengthBytes;
        return end > begin ? [{ byteOffset: begin, sizeBytes: end - begin }] : [];
      });
      for (let at = 0; at < blocks.length; at += max) yield metadataOf(part.sizeBytes, blocks.slice(at, at + max));
      if (part.endBytes >= part.sizeBytes) return;
      if (part.endBytes <= offsetBytes)
        throw new CsiError('INTERNAL', `Server ${server} answered volume-diff without progress: see its log`);
      offsetBytes = part.endBytes;
    }
  }

  private async found(text: string, field: string): Promise<FoundSnapshot> {
    const id: SnapshotId | null = parseSnapshotId(filled(text, field));
    const found = id === null ? null : await this.snapshots.find(id);
    if (found === null) throw new CsiError('NOT_FOUND', `Snapshot ${quoteText(text)} does not exist: name one that exists`);
    return found;
  }
}

function checkOffset(startingOffset: number, sizeBytes: number): void {
  if (startingOffset < 0 || startingOffset > sizeBytes)
    throw new CsiError('OUT_OF_RANGE', `Offset ${startingOffset} is not within the ${sizeBytes} bytes of the snapshot: correct it`);
}

function metadataOf(volumeCapacityBytes: number, blockMetadata: readonly Block[]): Metadata {
  return { blockMetadataType: 'VARIABLE_LENGTH', volumeCapacityBytes, blockMetadata };
}
