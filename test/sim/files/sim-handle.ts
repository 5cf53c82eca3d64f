// An open file of a simulated file system, with the methods of Node's FileHandle that pools use. The handle belongs to the process that
// opened it. Each open file reports a write-back error once, as with a real kernel.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import type { SimProcess } from '../base/sim-clock.ts';
import type { Descriptor } from '../storage/sim-cache.ts';
import { errno, type SimNode } from './sim-files.ts';
import { later, type Place } from './sim-mounts.ts';

/** The next number of a handle. The number is larger than each real file descriptor. */
let numbers = 1_000_000;
const opened = new Map<number, SimHandle>();

export function handleOf(descriptor: number): SimHandle | null {
  return opened.get(descriptor) ?? null;
}

/** Called before a new world begins: closes the files that processes of the previous world had open. */
export function closeAll(): void {
  opened.clear();
}

export class SimHandle {
  readonly fd: number;
  readonly node: SimNode;
  readonly place: Place;
  private readonly process: SimProcess;
  private readonly descriptor: Descriptor | null;

  constructor(place: Place, node: SimNode) {
    this.fd = ++numbers;
    this.place = place;
    this.node = node;
    this.process = place.process();
    this.descriptor = node.data?.storage.cache.open() ?? null;
    opened.set(this.fd, this);
  }

  later<T>(act: () => T): Promise<T> {
    return later(this.place, this.process, act);
  }

  stat(): Promise<object> {
    return this.later(() => statOf(this.node));
  }

  sync(): Promise<void> {
    const beganMs = this.process.monotonicMs();
    return this.later(() => {
      const { node, place, descriptor } = this;
      const error = node.data?.storage.syncs(descriptor ?? { told: 0 }, beganMs) ?? null;
      if (error !== null) throw errno(error, place.path);
      place.files.sync(node);
    });
  }

  datasync(): Promise<void> {
    return this.sync();
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.later(() => this.place.files.resize(this.node, sizeBytes));
  }

  chmod(): Promise<void> {
    return this.later(() => undefined);
  }

  writeFile(text: string): Promise<void> {
    return this.later(() => {
      this.node.text = text;
      this.node.sizeBytes = text.length;
    });
  }

  readFile(): Promise<string> {
    return this.later(() => this.node.text);
  }

  read(target: Buffer, offset: number, lengthBytes: number, positionBytes: number): Promise<{ bytesRead: number }> {
    return this.later(() => {
      const { data, sizeBytes, text } = this.node;
      // A file without data has text, such as a manifest. A crash may have cut the text.
      const content = data?.storage.content ?? Buffer.from(text);
      const endBytes = data === null ? content.length : sizeBytes;
      const bytesRead = Math.max(0, Math.min(lengthBytes, endBytes - positionBytes));
      content.copy(target, offset, positionBytes, positionBytes + bytesRead);
      return { bytesRead };
    });
  }

  write(source: Buffer, offset: number, lengthBytes: number, positionBytes: number): Promise<{ bytesWritten: number }> {
    return this.later(() => {
      this.node.data?.storage.cache.change(positionBytes, lengthBytes, source, offset);
      return { bytesWritten: lengthBytes };
    });
  }

  punch(positionBytes: number, lengthBytes: number): Promise<boolean> {
    return this.later(() => {
      this.node.data?.storage.cache.change(positionBytes, lengthBytes, null, 0);
      return true;
    });
  }

  close(): Promise<void> {
    opened.delete(this.fd);
    return Promise.resolve();
  }
}

export function statOf({ number, sizeBytes, entries }: SimNode): object {
  return {
    dev: 1,
    ino: number,
    size: sizeBytes,
    blocks: Math.ceil(sizeBytes / SECTOR_BYTES),
    birthtimeNs: BigInt(number),
    isBlockDevice: () => false,
    isDirectory: () => entries !== null,
  };
}
