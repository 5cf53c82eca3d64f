// A backend wrapper for replicas: a change begins only when the bits of its regions in the intent map are durable (M2). If the bits are
// already durable, the change begins in the same event-loop turn without an allocation. Invariants: the bits of the regions of a waiting
// or running change are never cleared. A change whose bits cannot be made durable never reaches the storage. READs and FLUSHes never
// wait. The slots of the session bound the number of waiting changes.

import { assert } from '@rsio/base/lib/assert';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { MIRROR_REGION_BYTES } from '@rsio/protocol/wire/limits';
import { type Backend, type IntentView, type IoDone, WOULD_WAIT } from '../storage/io/backend.ts';
import { ForwardingBackend } from '../storage/io/forwarding-backend.ts';
import type { IntentMap } from './intent-map.ts';
import { CHANGES_KEPT_MAX } from './limits.ts';
import { regionsOf } from './map-file.ts';
import type { MapDisk, MapWriter } from './map-writer.ts';

const KIND = { WRITE: 0, DISCARD: 1, ZERO: 2 } as const;
const EMPTY = Buffer.alloc(0);
const nothing = (): void => undefined;

/** A waiting or running change. The object is reused for a later change. */
class Change {
  kind: (typeof KIND)[keyof typeof KIND] = KIND.WRITE;
  source: Buffer = EMPTY;
  offset = 0;
  positionBytes = 0;
  lengthBytes = 0;
  keepAllocated = false;
  fua = false;
  done: IoDone = nothing;
  first = 0;
  last = 0;
  /** Index in the list of active changes. */
  index = 0;
  readonly ended: IoDone;

  constructor(ended: (change: Change, status: Status) => void) {
    this.ended = (status) => ended(this, status);
  }
}

export class IntentBackend extends ForwardingBackend {
  private readonly map: IntentMap;
  private readonly writer: MapWriter;
  private readonly disk: MapDisk;
  private readonly closed: () => void;
  private readonly active: Change[] = [];
  private readonly kept: Change[] = [];
  private readonly view: IntentView;

  /** `closed` is called when the file of the map is closed. */
  constructor(inner: Backend, map: IntentMap, writer: MapWriter, disk: MapDisk, closed: () => void) {
    super(inner);
    this.map = map;
    this.writer = writer;
    this.disk = disk;
    this.closed = closed;
    this.view = {
      get regions() {
        return map.regions;
      },
      grow: (sizeBytes) => this.grow(sizeBytes),
      read: (first, maxBytes) => map.read(first, maxBytes),
      clear: (ranges) => this.clear(ranges),
    };
  }

  override get intents(): IntentView {
    return this.view;
  }

  override tryWrite(source: Buffer, offset: number, lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT {
    const first = Math.floor(positionBytes / MIRROR_REGION_BYTES);
    const last = Math.floor((positionBytes + lengthBytes - 1) / MIRROR_REGION_BYTES);
    return this.map.isDurable(first, last) ? this.inner.tryWrite(source, offset, lengthBytes, positionBytes) : WOULD_WAIT;
  }

  override write(source: Buffer, offset: number, lengthBytes: number, positionBytes: number, fua: boolean, done: IoDone): void {
    const change = this.take(KIND.WRITE, positionBytes, lengthBytes, fua, done);
    change.source = source;
    change.offset = offset;
    this.begin(change);
  }

  override discard(positionBytes: number, lengthBytes: number, done: IoDone): void {
    this.begin(this.take(KIND.DISCARD, positionBytes, lengthBytes, false, done));
  }

  override zero(positionBytes: number, lengthBytes: number, keepAllocated: boolean, fua: boolean, done: IoDone): void {
    const change = this.take(KIND.ZERO, positionBytes, lengthBytes, fua, done);
    change.keepAllocated = keepAllocated;
    this.begin(change);
  }

  /** Must be called only after all changes have been answered; no change is then waiting or running. */
  override async close(): Promise<void> {
    await this.writer.whenIdle();
    try {
      await this.disk.close();
    } finally {
      this.closed();
      await this.inner.close();
    }
  }

  private take(kind: Change['kind'], positionBytes: number, lengthBytes: number, fua: boolean, done: IoDone): Change {
    const change = this.kept.pop() ?? new Change((one, status) => this.ended(one, status));
    change.kind = kind;
    change.positionBytes = positionBytes;
    change.lengthBytes = lengthBytes;
    change.fua = fua;
    change.done = done;
    change.first = Math.floor(positionBytes / MIRROR_REGION_BYTES);
    change.last = Math.floor((positionBytes + lengthBytes - 1) / MIRROR_REGION_BYTES);
    change.index = this.active.push(change) - 1;
    return change;
  }

  private begin(change: Change): void {
    const { map, writer } = this;
    const { first, last } = change;
    if (map.isDurable(first, last)) {
      this.start(change);
      return;
    }
    map.grow(last + 1);
    map.set(first, last);
    writer.sync((status) => {
      if (status !== STATUS.OK) return this.ended(change, status);
      assert(map.isDurable(first, last), 'A change begins before its intent is durable');
      this.start(change);
    });
  }

  private start(change: Change): void {
    const { kind, source, offset, positionBytes, lengthBytes, keepAllocated, fua, ended } = change;
    switch (kind) {
      case KIND.WRITE:
        this.inner.write(source, offset, lengthBytes, positionBytes, fua, ended);
        return;
      case KIND.DISCARD:
        this.inner.discard(positionBytes, lengthBytes, ended);
        return;
      default:
        this.inner.zero(positionBytes, lengthBytes, keepAllocated, fua, ended);
    }
  }

  private ended(change: Change, status: Status): void {
    const { active, kept } = this;
    const { done, index } = change;
    assert(active[index] === change, 'A change of a replica ends twice');
    const last = active.pop();
    if (last !== undefined && last !== change) {
      active[index] = last;
      last.index = index;
    }
    change.source = EMPTY;
    change.done = nothing;
    if (kept.length < CHANGES_KEPT_MAX) kept.push(change);
    done(status);
  }

  private grow(sizeBytes: number): void {
    this.map.grow(regionsOf(sizeBytes));
  }

  private clear(ranges: readonly number[]): void {
    for (let index = 0; index + 1 < ranges.length; index += 2) this.clearRange(ranges[index]!, ranges[index + 1]!);
    this.writer.writeSoon();
  }

  /** Clears the bits of the regions in this range. The bits of regions of waiting or running changes stay set. */
  private clearRange(first: number, count: number): void {
    const end = first + count;
    const busy = this.active.filter((change) => change.first < end && change.last >= first).toSorted((a, b) => a.first - b.first);
    let next = first;
    for (const change of busy) {
      if (change.first > next) this.map.clear(next, change.first - next);
      next = Math.max(next, change.last + 1);
    }
    if (next < end) this.map.clear(next, end - next);
    assert(
      busy.every((change) => this.map.isSet(change.first) && this.map.isSet(change.last)),
      'The intent of a running change is cleared',
    );
  }
}
