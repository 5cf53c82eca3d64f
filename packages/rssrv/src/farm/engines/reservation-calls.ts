// Persistent reservations of a SCSI disk, a multipath device or an NVMe namespace: the ioctls of linux/pr.h, which ask the target to keep
// registrations over a power cut (APTPL) and fail if it cannot. The kernel has no ioctl to read keys, so SG_IO reads those of SCSI disks.
// Invariant: `conflict` is an answer of the target; any other outcome than `done` and `conflict` is thrown.

import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import util from 'node:util';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { FENCE_MS, RESERVATION_CALL_MS, RESERVATION_CALLS_MAX, RESERVATION_KEYS_MAX, RESERVATION_TRIES_MAX } from '../limits.ts';
import { withRights } from '../rights.ts';
import { deviceCalls } from './ioctl.ts';

export type Outcome = 'done' | 'conflict';

export interface Holder {
  readonly key: bigint;
  /** True if the reservation is Write Exclusive, Registrants Only. */
  readonly isOurType: boolean;
}

export interface ReservationCalls {
  /** Registers `key` for this machine, whether or not this machine already has a key. Key 0 ends the registration. */
  register(key: bigint): Promise<Outcome>;
  /** Replaces this machine's key `before` by `key`. Conflict: this machine has another key, or none. */
  change(before: bigint, key: bigint): Promise<Outcome>;
  /**
   * Reserves the disk. Done: this machine holds the reservation, perhaps from before. Conflict: another machine holds it, or `key` is not
   * registered.
   */
  reserve(key: bigint): Promise<Outcome>;
  /**
   * Ends the registrations with the key `other`, and aborts their commands. Conflict: no machine has the key `other`, or `key` is not
   * registered.
   */
  preempt(key: bigint, other: bigint): Promise<Outcome>;
  /** Aborts all commands of all machines for this disk; registrations stay. False: the kernel cannot do that with this kind of disk. */
  abortAll(): Promise<boolean>;
  /** Returns the registered keys; null if they cannot be read. */
  keys(): Promise<readonly bigint[] | null>;
  /** Returns the holder of the reservation; null if there is no reservation, `unknown` if it cannot be read. */
  holder(): Promise<Holder | null | 'unknown'>;
}

/** Request numbers of ioctl(2). */
const [PR_REGISTER, PR_RESERVE, PR_PREEMPT_ABORT, SG_IO] = [0x401870c8, 0x401070c9, 0x401870cc, 0x2285];
const [SG_SCSI_RESET, RESET_DEVICE_ONLY] = [0x2284, 0x101];
const PR_FL_IGNORE_KEY = 1;
/** The numbers of the type Write Exclusive, Registrants Only, in the kernel and in SCSI. */
const [PR_WRITE_EXCLUSIVE_REG_ONLY, SCSI_WRITE_EXCLUSIVE_REG_ONLY] = [3, 5];
/** The lowest byte of a result is the SCSI status. The NVMe status has 11 bits; further bits say whether a retry makes sense. */
const [SCSI_STATUS_MASK, CHECK_CONDITION, RESERVATION_CONFLICT] = [0xff, 0x02, 0x18];
const [NVME_STATUS_MASK, NVME_RESERVATION_CONFLICT] = [0x7ff, 0x83];
/** Offsets in sg_io_hdr, and the command PERSISTENT RESERVE IN with its two service actions. */
const [SG_DIRECTION, SG_COMMAND_LENGTH, SG_DATA_LENGTH, SG_DATA, SG_COMMAND, SG_TIMEOUT, SG_STATUS, SG_HOST, SG_BYTES] = [
  4, 8, 12, 16, 24, 40, 64, 68, 88,
];
const [SG_INTERFACE, SG_FROM_DEVICE, RESERVE_IN, READ_KEYS, READ_RESERVATION] = [0x53, -3, 0x5e, 0, 1];
const [IN_HEADER_BYTES, IN_LENGTH, KEY_BYTES, IN_TYPE] = [8, 4, 8, 21];

export class DiskReservations implements ReservationCalls {
  private readonly clock: Clock;
  private readonly disk: string;
  private underWay = 0;

  constructor(clock: Clock, disk: string) {
    this.clock = clock;
    this.disk = disk;
  }

  register(key: bigint): Promise<Outcome> {
    return this.send('REGISTER AND IGNORE', PR_REGISTER, registration(0n, key, PR_FL_IGNORE_KEY));
  }

  change(before: bigint, key: bigint): Promise<Outcome> {
    return this.send('REGISTER', PR_REGISTER, registration(before, key, 0));
  }

  reserve(key: bigint): Promise<Outcome> {
    const structure = Buffer.alloc(16);
    structure.writeBigUInt64LE(key, 0);
    structure.writeUInt32LE(PR_WRITE_EXCLUSIVE_REG_ONLY, 8);
    return this.send('RESERVE', PR_RESERVE, structure);
  }

  preempt(key: bigint, other: bigint): Promise<Outcome> {
    const structure = Buffer.alloc(24);
    // In the field `old_key`, the drivers of SCSI and NVMe expect the key of this machine, although the kernel's documentation says
    // otherwise.
    structure.writeBigUInt64LE(key, 0);
    structure.writeBigUInt64LE(other, 8);
    structure.writeUInt32LE(PR_WRITE_EXCLUSIVE_REG_ONLY, 16);
    return this.send('PREEMPT AND ABORT', PR_PREEMPT_ABORT, structure, FENCE_MS);
  }

  async abortAll(): Promise<boolean> {
    return await this.withDisk('LOGICAL UNIT RESET', FENCE_MS, async ({ fd }) => {
      const how = Buffer.alloc(4);
      how.writeInt32LE(RESET_DEVICE_ONLY);
      const result = await deviceCalls().result(fd, SG_SCSI_RESET, how);
      if (result === 0) return true;
      const name = util.getSystemErrorName(result);
      if (name === 'ENOTTY') return false;
      throw new RsError(
        'E_STORAGE',
        `Disk ${this.disk} cannot be reset (${withRights(name, 'CAP_SYS_ADMIN and CAP_SYS_RAWIO')}): check the disk and its paths`,
      );
    });
  }

  async keys(): Promise<readonly bigint[] | null> {
    const bytes = await this.readIn(READ_KEYS);
    if (bytes === null) return null;
    const length = bytes.readUInt32BE(IN_LENGTH);
    if (length > RESERVATION_KEYS_MAX * KEY_BYTES) return null;
    return Array.from({ length: length / KEY_BYTES }, (_, index) => bytes.readBigUInt64BE(IN_HEADER_BYTES + index * KEY_BYTES));
  }

  async holder(): Promise<Holder | null | 'unknown'> {
    const bytes = await this.readIn(READ_RESERVATION);
    if (bytes === null) return 'unknown';
    if (bytes.readUInt32BE(IN_LENGTH) === 0) return null;
    return { key: bytes.readBigUInt64BE(IN_HEADER_BYTES), isOurType: (bytes[IN_TYPE]! & 0xf) === SCSI_WRITE_EXCLUSIVE_REG_ONLY };
  }

  /** Sends a command. Sends it again if the disk first reports another event. */
  private async send(what: string, request: number, structure: Buffer, limitMs = RESERVATION_CALL_MS): Promise<Outcome> {
    return await this.withDisk(what, limitMs, async ({ fd }) => {
      let result = 0;
      for (let tries = 1; tries <= RESERVATION_TRIES_MAX; tries++) {
        result = await deviceCalls().result(fd, request, structure);
        if (result === 0) return 'done';
        if (result < 0 || !isAttention(result)) break;
      }
      if (result > 0 && isConflict(result)) return 'conflict';
      throw new RsError(
        'E_STORAGE',
        `Disk ${this.disk} has refused ${what} (${withRights(statusText(result), 'CAP_SYS_ADMIN')}): ${remedyOf(result)}`,
      );
    });
  }

  /** Sends PERSISTENT RESERVE IN. Returns null if the disk is not a SCSI disk, or refuses the command. */
  private async readIn(action: number): Promise<Buffer | null> {
    return await this.withDisk('PERSISTENT RESERVE IN', RESERVATION_CALL_MS, async ({ fd }) => {
      const calls = deviceCalls();
      const data = Buffer.allocUnsafeSlow(IN_HEADER_BYTES + RESERVATION_KEYS_MAX * KEY_BYTES).fill(0);
      const command = Buffer.allocUnsafeSlow(10).fill(0);
      command.set([RESERVE_IN, action]);
      command.writeUInt16BE(data.length, 7);
      for (let tries = 1; tries <= RESERVATION_TRIES_MAX; tries++) {
        const header = Buffer.alloc(SG_BYTES);
        header.writeInt32LE(SG_INTERFACE, 0);
        header.writeInt32LE(SG_FROM_DEVICE, SG_DIRECTION);
        header.writeUInt8(command.length, SG_COMMAND_LENGTH);
        header.writeUInt32LE(data.length, SG_DATA_LENGTH);
        header.writeBigUInt64LE(BigInt(calls.address(data)), SG_DATA);
        header.writeBigUInt64LE(BigInt(calls.address(command)), SG_COMMAND);
        header.writeUInt32LE(RESERVATION_CALL_MS, SG_TIMEOUT);
        if ((await calls.result(fd, SG_IO, header)) < 0) return null;
        const [status, host] = [header[SG_STATUS], header.readUInt16LE(SG_HOST)];
        if (status === 0 && host === 0) return data;
        if (status !== CHECK_CONDITION) return null;
      }
      return null;
    });
  }

  /** Opens the disk for one command, although DiskHeader has the disk open exclusively. Throws E_STORAGE if the command takes too long. */
  private async withDisk<T>(what: string, limitMs: number, use: (handle: FileHandle) => Promise<T>): Promise<T> {
    const { clock, disk } = this;
    const late = new RsError(
      'E_STORAGE',
      `Disk ${disk} has not answered ${what} within ${limitMs / 1_000} s: check the disk and its paths`,
    );
    // Each command occupies a thread until the kernel gives the command up.
    if (this.underWay >= RESERVATION_CALLS_MAX) throw late;
    this.underWay++;
    const run = async (): Promise<T> => {
      // Open the disk for reading only: when a descriptor for writing is closed, udev looks for file systems and partitions.
      const handle = await open(disk, constants.O_RDONLY | constants.O_NONBLOCK);
      try {
        return await use(handle);
      } finally {
        await handle.close();
      }
    };
    return await new Promise<T>((resolve, reject) => {
      const timer = clock.after(limitMs, () => reject(late));
      run()
        .then(resolve, reject)
        .finally(() => {
          timer.cancel();
          this.underWay--;
        });
    });
  }
}

function registration(before: bigint, key: bigint, flags: number): Buffer {
  const structure = Buffer.alloc(24);
  structure.writeBigUInt64LE(before, 0);
  structure.writeBigUInt64LE(key, 8);
  structure.writeUInt32LE(flags, 16);
  return structure;
}

function isConflict(result: number): boolean {
  return (result & SCSI_STATUS_MASK) === RESERVATION_CONFLICT || (result & NVME_STATUS_MASK) === NVME_RESERVATION_CONFLICT;
}

/** Returns true for the status CHECK CONDITION; old kernels add flags. */
function isAttention(result: number): boolean {
  return (result & SCSI_STATUS_MASK) === CHECK_CONDITION;
}

function statusText(result: number): string {
  return result < 0 ? util.getSystemErrorName(result) : `status 0x${result.toString(16)}`;
}

function remedyOf(result: number): string {
  return result < 0
    ? 'it has no persistent reservations, or rssrv has no right to use them; use fence = command:'
    : 'its target must keep persistent reservations over a power cut (APTPL, PTPL); see sg_persist --in --report-capabilities';
}
