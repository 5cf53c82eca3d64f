// The answers to each request of the kernel, with a volume in memory and handmade requests. The file test/integration/block-devices.test.ts
// tests that the real kernel accepts the answers.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { FUSE_INTERRUPT_MS, FUSE_REQUESTS_OUT_MAX } from '../limits.ts';
import { STATUS } from '@rsio/protocol/wire/status';
import { assert } from '@rsio/base/lib/assert';
import { describe, expect, it, vi } from 'vitest';
import { MemoryVolume, type MemoryVolumeOptions } from '../nbd/testing/memory-volume.ts';
import { ERRNO, OPCODE } from './fuse-constants.ts';
import { FuseSession } from './fuse-session.ts';
import { body, Kernel } from './testing/kernel.ts';

const MIB = 1 << 20;

class Scene {
  readonly kernel = new Kernel();
  readonly clock = new FakeClock();
  readonly broken: string[] = [];
  readonly agreed: (string | null)[] = [];
  readonly volume: MemoryVolume;
  readonly session: FuseSession;
  private readonly work: (() => void)[] = [];

  constructor(options: MemoryVolumeOptions = {}) {
    this.volume = new MemoryVolume({ ...options, schedule: (fire) => this.work.push(fire) });
    const { kernel, clock, volume } = this;
    this.session = new FuseSession({
      volume,
      port: kernel,
      buffers: kernel.buffers,
      clock,
      broken: (reason) => this.broken.push(reason),
      agreed: (refusal) => this.agreed.push(refusal),
    });
  }

  send(opcode: number, bytes?: Buffer): number {
    return this.kernel.send(this.session, opcode, bytes);
  }

  read(position: number, length: number): number {
    return this.send(OPCODE.READ, body([0, 8], [position, 8], [length, 4], [0, 4], [0, 8], [0, 8]));
  }

  write(position: number, data: Buffer, flags = 1): number {
    return this.send(
      OPCODE.WRITE,
      Buffer.concat([body([0, 8], [position, 8], [data.length, 4], [0, 4], [0, 8], [flags, 4], [0, 4]), data]),
    );
  }

  fallocate(mode: number, position: number, length: number): number {
    return this.send(OPCODE.FALLOCATE, body([0, 8], [position, 8], [length, 8], [mode, 4], [0, 4]));
  }

  seek(whence: number, position: number): number {
    return this.send(OPCODE.LSEEK, body([0, 8], [position, 8], [whence, 4], [0, 4]));
  }

  setAttr(valid: number, size: number, mode = 0): number {
    const bytes = Buffer.alloc(88);
    bytes.writeUInt32LE(valid, 0);
    bytes.writeBigUInt64LE(BigInt(size), 16);
    bytes.writeUInt32LE(mode, 68);
    return this.send(OPCODE.SETATTR, bytes);
  }

  /** Lets the volume execute all requests, or only the `index`th. */
  run(index?: number): void {
    if (index !== undefined) this.work.splice(index, 1)[0]?.();
    else while (this.work.length > 0) this.work.shift()?.();
  }

  /** Returns the errno in the reply to a request. Throws if there is no reply. */
  errno(unique: number): number {
    return this.reply(unique).errno;
  }

  reply(unique: number): { errno: number; body: Buffer } {
    const reply = this.kernel.replies.get(unique);
    if (reply === undefined) throw new Error(`Request ${unique} is not answered`);
    return reply;
  }

  isAnswered(unique: number): boolean {
    return this.kernel.replies.has(unique);
  }
}

describe('reading and writing', () => {
  it('data comes back as written, small and large, out of order', () => {
    const scene = new Scene({ sizeBytes: 4 * MIB });
    const small = Buffer.alloc(512, 7);
    const large = Buffer.alloc(MIB, 9);
    const writes = [scene.write(512, small), scene.write(MIB, large)];
    scene.run(1);
    expect(writes.map((unique) => scene.isAnswered(unique))).toEqual([false, true]);
    scene.run();
    expect(writes.map((unique) => scene.reply(unique).body.readUInt32LE(0))).toEqual([512, MIB]);
    const reads = [scene.read(512, 512), scene.read(MIB, MIB)];
    scene.run();
    expect(scene.reply(reads[0]!).body.equals(small)).toBe(true);
    expect(scene.reply(reads[1]!).body.equals(large)).toBe(true);
    expect(scene.kernel.buffers.inUse).toBe(0);
  });

  it('at the end reads and writes are short; beyond it a read returns nothing and a write fails with ENOSPC', () => {
    const scene = new Scene({ sizeBytes: MIB });
    const end = MIB - 512;
    const [read, behind, write, past, far] = [
      scene.read(end, 4096),
      scene.read(MIB, 512),
      scene.write(end, Buffer.alloc(4096, 1)),
      scene.write(MIB, Buffer.alloc(512)),
      scene.read(Number.MAX_SAFE_INTEGER, 512),
    ];
    scene.run();
    expect(scene.reply(read).body).toHaveLength(512);
    expect(scene.reply(behind)).toEqual({ errno: 0, body: Buffer.alloc(0) });
    expect(scene.reply(far)).toEqual({ errno: 0, body: Buffer.alloc(0) });
    expect(scene.reply(write).body.readUInt32LE(0)).toBe(512);
    expect(scene.errno(past)).toBe(ERRNO.ENOSPC);
  });

  it('partial blocks are invalid, a read-only volume cannot be opened for writing, and O_DSYNC means FUA', () => {
    const scene = new Scene({ blockSizeBytes: 4096 });
    const part = scene.read(512, 512);
    const durable = scene.write(0, Buffer.alloc(4096), 1 | 0o10000);
    scene.run();
    expect([scene.errno(part), scene.errno(durable)]).toEqual([ERRNO.EINVAL, 0]);
    expect(scene.volume.seen).toContain('write 0+4096 fua');
    const readonly = new Scene({ readonly: true });
    const opens = [0, 1, 2].map((flags) => readonly.send(OPCODE.OPEN, body([flags, 4], [0, 4])));
    expect(opens.map((unique) => readonly.errno(unique))).toEqual([0, ERRNO.EROFS, ERRNO.EROFS]);
  });

  it.each([
    [STATUS.IO_ERROR, ERRNO.EIO],
    [STATUS.NO_SPACE, ERRNO.ENOSPC],
    [STATUS.OUTCOME_UNKNOWN, ERRNO.EIO],
    [STATUS.READ_ONLY, ERRNO.EROFS],
    [STATUS.UNSUPPORTED, ERRNO.EOPNOTSUPP],
    [STATUS.NO_RIGHTS, ERRNO.EPERM],
    [STATUS.OUT_OF_MEMORY, ERRNO.ENOMEM],
  ])('status %i of the volume is error %i', (status, errno) => {
    const scene = new Scene();
    scene.volume.fail = status;
    const asked = [scene.read(0, 512), scene.write(0, Buffer.alloc(512)), scene.send(OPCODE.FSYNC, body([0, 8], [0, 8]))];
    scene.run();
    expect(asked.map((unique) => scene.errno(unique))).toEqual([errno, errno, errno]);
    expect(scene.kernel.buffers.inUse).toBe(0);
  });

  it('a read or write beyond the agreed size is refused, and the volume gets no request', () => {
    const scene = new Scene({ sizeBytes: 4 * MIB });
    const tooMuch = [scene.read(0, MIB + 512), scene.read(0, 0xffffffff), scene.write(0, Buffer.alloc(MIB + 512))];
    const most = [scene.read(0, MIB), scene.write(0, Buffer.alloc(MIB))];
    scene.run();
    expect(tooMuch.map((unique) => scene.errno(unique))).toEqual([ERRNO.EINVAL, ERRNO.EINVAL, ERRNO.EINVAL]);
    expect(most.map((unique) => scene.errno(unique))).toEqual([0, 0]);
    expect(scene.volume.seen).toHaveLength(2);
    expect(scene.kernel.buffers.inUse).toBe(0);
  });

  it('with too many requests in flight the descriptor is not read until half of them are done', () => {
    const scene = new Scene();
    for (let count = 0; count < FUSE_REQUESTS_OUT_MAX; count++) scene.read(0, 0x200);
    expect(scene.kernel.isPaused).toBe(true);
    scene.run(0);
    expect(scene.kernel.isPaused).toBe(true);
    scene.run();
    expect(scene.kernel.isPaused).toBe(false);
  });
});

describe('the file', () => {
  it('shows the current size, and keeps owner and permissions; its size cannot be set, but O_TRUNC is accepted', () => {
    const scene = new Scene({ sizeBytes: MIB });
    const asked = scene.send(OPCODE.GETATTR, body([0, 8], [0, 8]));
    const attr = scene.reply(asked).body;
    expect([attr.readBigUInt64LE(0), attr.readBigUInt64LE(24)]).toEqual([0n, BigInt(MIB)]);
    expect(attr.readUInt32LE(16 + 60).toString(8)).toBe('100600');
    const [mode, trunc, sameSize, shorter, longer, byHandle] = [
      scene.setAttr(1, 0, 0o640),
      scene.setAttr(8, 0),
      scene.setAttr(8, MIB),
      scene.setAttr(8, 512),
      scene.setAttr(8, MIB + 512),
      scene.setAttr(8 | 64, 0),
    ];
    expect([mode, trunc, sameSize].map((unique) => scene.errno(unique))).toEqual([0, 0, 0]);
    expect([shorter, longer, byHandle].map((unique) => scene.errno(unique))).toEqual([ERRNO.EINVAL, ERRNO.EINVAL, ERRNO.EINVAL]);
    expect(scene.reply(trunc).body.readBigUInt64LE(24)).toBe(BigInt(MIB));
    expect(
      scene
        .reply(trunc)
        .body.readUInt32LE(16 + 60)
        .toString(8),
    ).toBe('100640');
  });

  it('punching a hole is a ZERO that may deallocate, zeroing one that may not, and neither reaches beyond the end', () => {
    const scene = new Scene({ sizeBytes: MIB });
    const asked = [scene.fallocate(3, 0, 4096), scene.fallocate(0x11, 4096, 512), scene.fallocate(3, MIB, 512)];
    const others = [scene.fallocate(0, 0, 512), scene.fallocate(2, 0, 512), scene.fallocate(8, 0, 512)];
    scene.run();
    expect(scene.volume.seen).toEqual(['zero 0+4096', 'zero 4096+512 keep', 'zero 1048576+512']);
    expect(asked.map((unique) => scene.errno(unique))).toEqual([0, 0, ERRNO.ENOSPC]);
    expect(others.map((unique) => scene.errno(unique))).toEqual([ERRNO.EOPNOTSUPP, ERRNO.EOPNOTSUPP, ERRNO.EOPNOTSUPP]);
    const fixed = new Scene({ canDiscard: false });
    expect(fixed.errno(fixed.fallocate(3, 0, 512))).toBe(ERRNO.EOPNOTSUPP);
  });

  it('SEEK_DATA and SEEK_HOLE work from within data and holes; after the last data there is no data, and the end is a hole', () => {
    const scene = new Scene({ sizeBytes: MIB });
    scene.write(4096, Buffer.alloc(1024));
    scene.run();
    const asked = [
      scene.seek(3, 0),
      scene.seek(4, 0),
      scene.seek(3, 4100),
      scene.seek(4, 4100),
      scene.seek(3, 8192),
      scene.seek(4, MIB - 1),
    ];
    scene.run();
    const found = asked.map((unique) => (scene.errno(unique) === 0 ? Number(scene.reply(unique).body.readBigUInt64LE(0)) : null));
    expect(found).toEqual([4096, 0, 4100, 5120, null, MIB - 1]);
    expect(scene.errno(asked[4]!)).toBe(ERRNO.ENXIO);
    expect([scene.errno(scene.seek(3, MIB)), scene.errno(scene.seek(1, 0))]).toEqual([ERRNO.ENXIO, ERRNO.EINVAL]);
    scene.volume.fail = STATUS.UNSUPPORTED;
    const unknown = [scene.seek(3, 8192), scene.seek(4, 8192)];
    scene.run();
    expect(unknown.map((unique) => Number(scene.reply(unique).body.readBigUInt64LE(0)))).toEqual([8192, MIB]);
  });

  it('INIT agrees on one megabyte, and refuses a kernel that is too old', () => {
    const scene = new Scene();
    const offer = (minor: number): number =>
      scene.send(OPCODE.INIT, Buffer.concat([body([7, 4], [minor, 4], [131072, 4], [0xffffffff, 4]), Buffer.alloc(48)]));
    const { body: init } = scene.reply(offer(45));
    expect([init.length, init.readUInt32LE(0), init.readUInt32LE(20), init.readUInt16LE(28)]).toEqual([64, 7, MIB, 256]);
    expect(scene.agreed).toEqual([null]);
    expect(scene.session.file.canResend).toBe(false);
    expect(scene.errno(offer(12))).toBe(ERRNO.EIO);
    expect(scene.agreed[1]).toBe('the kernel speaks FUSE 7.12, and 7.28 (Linux 4.20) or newer is needed: use device = nbd-socket');
  });

  it('a kernel that can resend requests is recognised by its second flags field, only if that field exists', () => {
    const offer = (flags: number, second: number): boolean => {
      const scene = new Scene();
      scene.send(OPCODE.INIT, Buffer.concat([body([7, 4], [45, 4], [131072, 4], [flags, 4], [second, 4]), Buffer.alloc(44)]));
      return scene.session.file.canResend;
    };
    expect([offer(1 << 30, 1 << 7), offer(0, 1 << 7), offer(1 << 30, ~(1 << 7) >>> 0)]).toEqual([true, false, false]);
  });

  it('unknown requests get ENOSYS, and requests that need no reply get none', () => {
    const scene = new Scene();
    expect(scene.errno(scene.send(9999))).toBe(ERRNO.ENOSYS);
    for (const opcode of [OPCODE.FORGET, OPCODE.BATCH_FORGET, OPCODE.INTERRUPT])
      expect(scene.isAnswered(scene.send(opcode, Buffer.alloc(8)))).toBe(false);
    for (const opcode of [OPCODE.RELEASE, OPCODE.FLUSH]) expect(scene.errno(scene.send(opcode, Buffer.alloc(24)))).toBe(0);
  });
});

describe('an interrupt', () => {
  const interrupt = (scene: Scene, unique: number): number => scene.send(OPCODE.INTERRUPT, body([unique, 8]));

  it('ends a waiting read after a while, and its late outcome is dropped', () => {
    const scene = new Scene();
    const read = scene.read(0, 512);
    interrupt(scene, read);
    interrupt(scene, read);
    scene.clock.advance(FUSE_INTERRUPT_MS - 1);
    expect(scene.isAnswered(read)).toBe(false);
    scene.clock.advance(1);
    expect(scene.errno(read)).toBe(ERRNO.EINTR);
    expect(scene.kernel.buffers.inUse).toBe(1);
    scene.run();
    expect(scene.kernel.buffers.inUse).toBe(0);
  });

  it('does not affect a write, a read that completes in time, or an unknown request', () => {
    const scene = new Scene();
    const [write, read] = [scene.write(0, Buffer.alloc(512)), scene.read(0, 512)];
    for (const unique of [write, read, 4711]) interrupt(scene, unique);
    scene.run(1);
    expect(scene.errno(read)).toBe(0);
    scene.clock.advance(10 * FUSE_INTERRUPT_MS);
    expect(scene.isAnswered(write)).toBe(false);
    scene.run();
    expect(scene.errno(write)).toBe(0);
  });
});

describe('the end', () => {
  it('pending and new requests get EIO once, and buffers are returned when the volume is done', () => {
    const scene = new Scene({ sizeBytes: 2 * MIB });
    const out = [scene.read(0, 512), scene.write(0, Buffer.alloc(MIB)), scene.send(OPCODE.FSYNC, body([0, 8], [0, 8])), scene.seek(3, 0)];
    scene.session.stop();
    const later = [scene.read(0, 512), scene.write(0, Buffer.alloc(MIB)), scene.seek(4, 0), scene.send(OPCODE.OPEN, body([0, 4], [0, 4]))];
    expect([...out, ...later].map((unique) => scene.errno(unique))).toEqual(Array.from({ length: 8 }, () => ERRNO.EIO));
    expect(scene.session.underWay).toBe(4);
    expect(scene.errno(scene.send(OPCODE.GETATTR, body([0, 8], [0, 8])))).toBe(0);
    scene.run();
    expect([scene.session.underWay, scene.kernel.buffers.inUse]).toEqual([0, 0]);
  });
});

describe('any bytes', () => {
  it('with a wrong length field are refused, and the volume gets no request', () => {
    const scene = new Scene();
    const request = Buffer.concat([Buffer.alloc(40), body([0, 8], [0, 8], [0, 8])]);
    request.writeUInt32LE(OPCODE.LSEEK, 4);
    request.writeUInt32LE(3, 56);
    for (const [unique, length] of [request.length - 1, request.length, request.length + 1].entries()) {
      request.writeUInt32LE(length, 0);
      request.writeUInt32LE(unique, 8);
      scene.kernel.feed(scene.session, request);
    }
    scene.run();
    expect(scene.broken).toHaveLength(2);
    expect([scene.errno(0), scene.errno(2)]).toEqual([ERRNO.EIO, ERRNO.EIO]);
    expect(scene.volume.seen).toHaveLength(1);
  });

  it('shorter than a header are reported and get no reply', () => {
    const scene = new Scene();
    scene.kernel.feed(scene.session, Buffer.alloc(39, 1));
    expect(scene.kernel.replies.size).toBe(0);
    expect(scene.broken).toEqual(['a request of 39 bytes, opcode ?, is none']);
  });
});

describe('a bug of our own fails the request that met it, and nothing else', () => {
  it.each(['submit', 'extents'] as const)('in %s', (method) => {
    const scene = new Scene();
    const mistake = vi.spyOn(scene.volume, method).mockImplementation(() => {
      throw new Error('a mistake');
    });
    const lost = method === 'submit' ? scene.read(0, 4096) : scene.seek(3, 0);
    mistake.mockRestore();
    const next = scene.read(0, 4096);
    scene.run();
    expect([scene.errno(lost), scene.errno(next)]).toEqual([ERRNO.EIO, ERRNO.OK]);
    expect(scene.broken).toEqual([expect.stringMatching(/^an error of rsiod itself, please report it: Error: a mistake/)]);
    expect(scene.session.underWay).toBe(0);
  });

  it('except that a failed assertion ends the process, as everywhere', () => {
    const scene = new Scene();
    scene.volume.submit = () => assert(false, 'the trunk is broken');
    expect(() => scene.read(0, 4096)).toThrow('the trunk is broken');
  });
});
