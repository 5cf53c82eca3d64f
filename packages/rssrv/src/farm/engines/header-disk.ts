// The header of a shared disk as one server uses it: the registers of header-paxos.ts, and the notes. Each register has two slots, which
// are written in turn, so that a torn write counts as a write that did not happen. Invariants: no call begins a write after it has thrown;
// the next call waits for a write that was under way; if another process writes to the register of a server, the calls of this server fail.

import { sleep } from '@rsio/base/lib/waiting';
import { randomUUID } from 'node:crypto';
import { assert } from '@rsio/base/lib/assert';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { OneByOne } from '@rsio/base/structures/one-by-one';
import type { Sight } from '../engine.ts';
import type { FarmRecord, Note } from '../farm-record.ts';
import { BALLOT_PAUSE_MS, DISK_CALLS_MAX, DISK_RECORD_MAX_BYTES, ENGINE_CALL_MS, REGISTER_READS_MAX } from '../limits.ts';
import { decodeFrame, encodeFrame, type Frame, isPosted, isRegister, isTable, KIND, NOTE_BYTES } from './header-format.ts';
import { noteAt, type Place, SLOT_BYTES, slotAt, SLOTS, type StoredRegister, type Table, TABLE_BYTES } from './header-format.ts';
import { HeaderPaxos, type Register } from './header-paxos.ts';

/** The disk, past all caches. */
export interface HeaderFile {
  /**
   * Reads whole blocks. `spare`: the buffer of an earlier read, which is used again if its length fits. The file owns this buffer until the
   * read ends. Throws system errors, and E_STORAGE at the end of the disk.
   */
  read(positionBytes: number, lengthBytes: number, spare?: Buffer | null): Promise<Buffer>;
  /** Writes whole blocks durably. Throws system errors; the blocks may then be written, partly written, or unchanged. */
  write(positionBytes: number, bytes: Buffer): Promise<void>;
  close(): Promise<void>;
}

export interface HeaderPorts {
  /** Opens the disk `path`. Throws E_STORAGE. */
  readonly open: (path: string) => Promise<HeaderFile>;
  readonly clock: Clock;
  /** Returns a random number from 0 to 1. */
  readonly random: () => number;
}

/** What a server has found when it opened the header. */
interface Prepared {
  readonly disk: string;
  readonly table: Table;
  readonly own: number;
  readonly paxos: HeaderPaxos;
}

interface Slot {
  readonly sequence: number;
  readonly register: StoredRegister;
}

/** The table, the registers and the notes from a single read, because each read costs a thread and two wake-ups. */
interface Ahead {
  readonly bytes: Buffer;
  /** Number of posts by this process that had ended when the read began. */
  readonly posts: number;
}

/** A call stops at its next step when `isOver`. */
interface Call {
  isOver: boolean;
}

/** The kernel's answer if a reservation forbids a write (reservation conflict). Node has no name for this errno. */
const EBADE = 52;
const NOTHING: Sight = { record: null, notes: new Map() };

export class DiskHeader {
  private readonly path: string;
  private file: HeaderFile | null = null;
  private readonly server: string;
  private readonly ports: HeaderPorts;
  /** Name of this process in the registers and notes that it writes. */
  private readonly writer = randomUUID();
  private prepared: Prepared | null = null;
  private readonly lanes = { register: new OneByOne(), note: new OneByOne() };
  private readonly opening = new OneByOne();
  private calls = 0;
  /** The call that runs in the lane of the registers. */
  private current: Call = { isOver: false };
  /** Sequence number of this server's register at its last read; -1 if the register must be read before the next write. */
  private sequence = -1;
  /** Sequence number of the last write of this process; null if there was none, or its outcome is not known. */
  private written: number | null = null;
  private posts = 0;
  /** The content of the whole header that the present look has read; null if the look must read again, because it has written. */
  private ahead: Ahead | null = null;
  /** The buffer of the last look, which the next look uses again. New memory would cost the kernel as much as the read itself. */
  private spare: Buffer | null = null;

  /** `server`: the name of this server in the table of the disk. The disk is opened by the first call. */
  constructor(path: string, server: string, ports: HeaderPorts) {
    this.path = path;
    this.server = server;
    this.ports = ports;
  }

  /** True if the disk has a header. Throws as `look`. */
  isPrepared(): Promise<boolean> {
    return this.call('register', async () => (await this.find()) !== null);
  }

  /** As Engine.look. */
  look(): Promise<Sight> {
    return this.call('register', async (call) => {
      this.ahead = await this.readAhead();
      try {
        const prepared = await this.find(this.ahead?.bytes.subarray(0, TABLE_BYTES));
        if (prepared === null) return NOTHING;
        this.current = call;
        const record = await prepared.paxos.look();
        const notes = new Map<string, Note>();
        for (const [index, name] of prepared.table.servers.entries()) {
          const note = await this.readNote(prepared, index);
          if (note !== null) notes.set(name, note);
        }
        return { record, notes };
      } finally {
        this.ahead = null;
      }
    });
  }

  /** As Engine.swap. HeaderPaxos.swap says what a caller must do after an error. */
  swap(seen: FarmRecord | null, next: FarmRecord): Promise<boolean> {
    assert(next.version > (seen?.version ?? 0), 'A record without a new version');
    const bytes = Buffer.byteLength(JSON.stringify(next));
    if (bytes > DISK_RECORD_MAX_BYTES)
      return Promise.reject(
        this.error(`has no room for a record of ${bytes} bytes (at most ${DISK_RECORD_MAX_BYTES}): let the earlier owners be fenced first`),
      );
    return this.call('register', async (call) => {
      const prepared = await this.find();
      if (prepared === null) throw this.unprepared();
      this.current = call;
      return await prepared.paxos.swap(seen, next);
    });
  }

  /** As Engine.post. */
  post(note: Note): Promise<void> {
    return this.call('note', async () => {
      const prepared = this.prepared ?? (await this.find());
      if (prepared === null) throw this.unprepared();
      const { disk, own } = prepared;
      const bytes = encodeFrame(
        { disk, kind: KIND.note, server: own },
        this.posts + 1,
        JSON.stringify({ writer: this.writer, note }),
        NOTE_BYTES,
      );
      assert(bytes !== null, 'A note that is longer than its block');
      await (await this.opened()).write(noteAt(own), bytes);
      this.posts++;
    });
  }

  /**
   * Waits for the I/O that is under way, and closes the disk. The next call opens the disk again. Throws E_STORAGE if the I/O does not end
   * within ENGINE_CALL_MS.
   */
  async close(): Promise<void> {
    await this.call('register', async () => undefined);
    await this.call('note', async () => undefined);
    const { file } = this;
    this.file = null;
    await file?.close();
  }

  private opened(): Promise<HeaderFile> {
    return this.opening.run(async () => (this.file ??= await this.ports.open(this.path)));
  }

  /** Runs one call of the engine. Rejects after ENGINE_CALL_MS; the work then ends at its next step. */
  private call<T>(lane: keyof DiskHeader['lanes'], work: (call: Call) => Promise<T>): Promise<T> {
    if (this.calls >= DISK_CALLS_MAX) return Promise.reject(this.late());
    this.calls++;
    const call: Call = { isOver: false };
    return new Promise((resolve, reject) => {
      const timer = this.ports.clock.after(ENGINE_CALL_MS, () => {
        call.isOver = true;
        reject(this.late());
      });
      const run = async (): Promise<T> => {
        this.step(call);
        return await work(call);
      };
      void this.lanes[lane]
        .run(run)
        .then(resolve, (thrown: unknown) => reject(this.failure(thrown)))
        .finally(() => {
          timer.cancel();
          this.calls--;
        });
    });
  }

  private step(call: Call): void {
    if (call.isOver) throw this.late();
  }

  /** Returns null until the table is known, because only the table shows how many servers there are. */
  private async readAhead(): Promise<Ahead | null> {
    if (this.prepared === null) return null;
    const { posts } = this;
    const file = await this.opened();
    const { spare } = this;
    // After a failed read, the disk may still write to the buffer later.
    this.spare = null;
    const bytes = await file.read(0, slotAt(this.prepared.table.servers.length, 0), spare);
    this.spare = bytes;
    return { bytes, posts };
  }

  /** Reads the table, unless `read` contains it; null if the disk has none. Throws if the table belongs to another disk id than before. */
  private async find(read?: Buffer): Promise<Prepared | null> {
    const known = this.prepared;
    const bytes = read ?? (await (await this.opened()).read(0, TABLE_BYTES));
    const frame = decodeFrame(bytes, { disk: known?.disk ?? '', kind: KIND.table, server: 0 });
    if (frame === 'blank' && known === null) return null;
    if (frame === 'blank' || frame === 'torn' || !isTable(frame.value))
      throw this.error('has a damaged header, or was prepared again: restart this server, or restore the header from a copy');
    return known ?? (this.prepared ??= this.prepare(frame.disk, frame.value));
  }

  private prepare(disk: string, table: Table): Prepared {
    const own = table.servers.indexOf(this.server);
    if (own < 0) throw this.error(`was prepared for ${table.servers.join(', ')}, not for ${this.server}: correct owners = or the name`);
    const ports = {
      read: (index: number) => this.readRegister(disk, index, index === own),
      write: (register: Register) => this.writeRegister({ disk, kind: KIND.register, server: own }, register),
      pause: (tries: number) => this.pause(tries),
    };
    return { disk, table, own, paxos: new HeaderPaxos(ports, own, table.servers.length, table.first) };
  }

  private async pause(tries: number): Promise<void> {
    const call = this.current;
    await sleep(this.ports.clock, this.ports.random() * BALLOT_PAUSE_MS * tries);
    this.step(call);
  }

  /**
   * Reads a register. If a slot is torn, its writer is writing it, or has ended during the write. The second read is then sufficient,
   * because it finds in a whole slot every write that had ended when this call began.
   */
  private async readRegister(disk: string, index: number, isOwn: boolean): Promise<Register | null> {
    const place: Place = { disk, kind: KIND.register, server: index };
    for (let reads = 1; reads <= REGISTER_READS_MAX; reads++) {
      this.step(this.current);
      const bytes = await this.readPlace(slotAt(index, 0), SLOTS * SLOT_BYTES, reads);
      const frames = [0, 1].map((slot) => decodeFrame(bytes.subarray(slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES), place));
      const whole = frames.flatMap((frame, slot) => this.slotOf(frame, slot) ?? []);
      const isTorn = frames.includes('torn');
      const isSeen = !isTorn || (reads > 1 && (whole.length > 0 || frames.includes('blank')));
      if (!isSeen) continue;
      const newest = whole.reduce<Slot | null>((best, each) => (best === null || each.sequence > best.sequence ? each : best), null);
      if (isOwn) this.checkOwn(newest);
      return newest?.register ?? null;
    }
    throw this.error(`has a damaged register of server ${index + 1}: end this server everywhere, and restore the header from a copy`);
  }

  /** Only the first of several reads may use the bytes that the look has already read. */
  private async readPlace(positionBytes: number, lengthBytes: number, reads: number): Promise<Buffer> {
    if (reads === 1 && this.ahead !== null) return this.ahead.bytes.subarray(positionBytes, positionBytes + lengthBytes);
    return await (await this.opened()).read(positionBytes, lengthBytes);
  }

  private slotOf(frame: Frame, slot: number): Slot | null {
    if (frame === 'blank' || frame === 'torn') return null;
    if (isRegister(frame.value) && frame.sequence % SLOTS === slot) return { sequence: frame.sequence, register: frame.value };
    throw this.error('has a register that this release cannot read: install the same release on all servers of the pool');
  }

  private checkOwn(newest: Slot | null): void {
    const sequence = newest?.sequence ?? 0;
    if (this.written !== null && (this.written !== sequence || newest?.register.writer !== this.writer)) throw this.twin();
    this.sequence = sequence;
  }

  private async writeRegister(place: Place, register: Register): Promise<void> {
    assert(this.sequence >= 0, 'A register that was not read');
    this.step(this.current);
    const sequence = this.sequence + 1;
    const bytes = encodeFrame(place, sequence, JSON.stringify({ ...register, writer: this.writer }), SLOT_BYTES);
    assert(bytes !== null, 'A register that is longer than its slot');
    [this.sequence, this.written, this.ahead] = [-1, null, null];
    await (await this.opened()).write(slotAt(place.server, sequence % SLOTS), bytes);
    this.written = sequence;
    this.step(this.current);
  }

  private async readNote({ disk, own }: Prepared, index: number): Promise<Note | null> {
    for (let reads = 1; reads <= REGISTER_READS_MAX; reads++) {
      this.step(this.current);
      const posts = (reads === 1 ? this.ahead?.posts : undefined) ?? this.posts;
      const isChecked = index === own && posts > 0;
      const frame = decodeFrame(await this.readPlace(noteAt(index), NOTE_BYTES, reads), { disk, kind: KIND.note, server: index });
      if (frame === 'torn') continue;
      if (frame === 'blank' || !isPosted(frame.value)) return null;
      if (isChecked && frame.value.writer !== this.writer) throw this.twin();
      return frame.value.note;
    }
    return null;
  }

  private twin(): RsError {
    return this.error(
      `has lost a write of this server, or another process calls itself ${this.server}, too: give each server a name of its own, and restart`,
    );
  }

  private unprepared(): RsError {
    return this.error('is not prepared for a pool: create the pool first');
  }

  private late(): RsError {
    return this.error(`has not answered within ${ENGINE_CALL_MS / 1_000} s: check the disk and its paths`);
  }

  private failure(thrown: unknown): unknown {
    if (thrown instanceof RsError || !(thrown instanceof Error) || !('errno' in thrown)) return thrown;
    return thrown.errno === -EBADE
      ? this.error('refuses the writes of this server: another server has fenced it, or has reserved the disk')
      : this.error(`failed (${thrown.message}): check the disk`);
  }

  private error(what: string): RsError {
    return new RsError('E_STORAGE', `Disk ${this.path} ${what}`, { disk: this.path });
  }
}
