// A user of snapshots at one client: attaches a snapshot by its name, reads, asks for older snapshots and for changes, and detaches. The
// user may then attach the same id again, as a restarted daemon does. The user's client runs production code. The reader judge judges the
// answers. Invariant: at most one operation of the user is in progress. An unanswered operation is forgotten when its client process dies.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { AttachOutcome } from '@rsio/api/rsiod/methods';
import { STATUS, type Status, statusEntry } from '@rsio/protocol/wire/status';
import type { VolumeIo } from '@rsio/rsiod/volumes/frontend-volume';
import type { Volume } from '@rsio/rsiod/volumes/volume';
import type { SimClock } from '../base/sim-clock.ts';
import type { Trace } from '../base/trace.ts';
import type { ReaderJudge, Standing } from '../judges/reader-judge.ts';
import type { ClientReader, SimClient } from '../machines/sim-client.ts';

export interface ReaderPorts {
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly trace: Trace;
  readonly client: SimClient;
  readonly judge: ReaderJudge;
  readonly server: string;
  /** Whether the server serves another instance of the client's node. */
  isReplaced(): boolean;
  /** Chooses the name of a snapshot to attach; null: no snapshot can be attached now. */
  choose(): string | null;
  /**
   * Reports the answer about the changes between two snapshots. `pairs` alternates: a number of bytes, and then whether these bytes have
   * changed.
   */
  differs(before: string, after: string, pairs: readonly number[]): void;
}

type State = 'away' | 'attaching' | 'open' | 'reading' | 'detaching';

const TICK_MAX_MS = 40;
const AWAY_MAX_MS = 400;
const READ_SECTORS_MAX = 16;
const LEAVE_CHANCE = 0.08;
const CHANGES_CHANCE = 0.15;
const RETURN_CHANCE = 0.6;
/**
 * Codes of the errors that an attempt to attach the earlier snapshot again may get: the snapshot was removed, or another snapshot has its
 * name.
 */
const GONE: readonly string[] = ['E_VOLUME', 'E_UNKNOWN_VOLUME', 'E_TAKEN', 'E_REPLACED'];

export class SimReader implements ClientReader {
  readonly name: string;
  readonly client: SimClient;
  /** Name under which the user's snapshot is or was attached. */
  label = '';
  private readonly ports: ReaderPorts;
  private state: State = 'away';
  /** Id of the snapshot that the user has open or will attach again; null: there is no such snapshot. */
  private id: string | null = null;
  private volume: Volume | null = null;
  /** Counts client processes, so that callbacks of earlier processes are ignored. */
  private life = 0;
  private isOver = false;
  private isSentAway = false;

  constructor(name: string, ports: ReaderPorts) {
    this.name = name;
    this.client = ports.client;
    this.ports = ports;
    ports.client.readers.add(this);
    this.next(TICK_MAX_MS);
  }

  /** Whether the user has no open snapshot, and will not open another one. */
  get isDone(): boolean {
    return this.isOver && (this.state === 'away' || this.ports.isReplaced());
  }

  /**
   * Whether the user has this snapshot open or will attach it again. Another reader of the same client must not choose the snapshot,
   * because a client attaches a snapshot only once at a time.
   */
  keeps(label: string): boolean {
    return this.label === label && (this.state !== 'away' || this.id !== null);
  }

  /** Whether the user has detached its snapshot and waits for `callBack`. */
  get isAway(): boolean {
    return this.isSentAway && this.state === 'away' && this.id !== null;
  }

  /** Detaches the snapshot, like a daemon that is stopped. */
  sendAway(): void {
    this.isSentAway = true;
  }

  /** Attaches the earlier snapshot, like a daemon that is started again. */
  callBack(): void {
    this.isSentAway = false;
    if (this.state === 'away' && this.client.isGood && !this.ports.isReplaced()) this.attach();
  }

  end(): void {
    this.isOver = true;
  }

  killed(): void {
    this.life++;
    this.state = 'away';
    this.volume = null;
    this.ports.judge.left(this.name);
  }

  lost(sentence: string): void {
    const { ports } = this;
    if (!ports.isReplaced()) ports.judge.breach(`N2: ${this.name} has lost ${this.label}: ${sentence}`);
    this.killed();
    this.id = null;
  }

  private next(maxMs: number): void {
    const { clock, random } = this.ports;
    clock.after(random.unit() * maxMs, () => {
      if (this.isDone) return;
      this.tick();
      this.next(this.state === 'away' ? AWAY_MAX_MS : TICK_MAX_MS);
    });
  }

  private tick(): void {
    const { client, random } = this.ports;
    if (!client.isGood) return;
    if (this.ports.isReplaced()) this.ports.judge.left(this.name);
    else if (this.state === 'away') this.attach();
    else if (this.state === 'open' && (this.isOver || this.isSentAway || random.chance(LEAVE_CHANCE))) this.detach();
    else if (this.state === 'open' && random.chance(CHANGES_CHANCE)) this.askChanges();
    else if (this.state === 'open') this.read();
  }

  /** Attaches as rsconfig does, or as a restarted daemon does. */
  private attach(): void {
    if (this.isOver || this.isSentAway) return;
    const { client, judge, server } = this.ports;
    const { attachments } = client;
    const before = this.id;
    const label = before === null ? this.ports.choose() : this.label;
    if (label === null) return;
    this.label = label;
    this.state = 'attaching';
    const standing = judge.standing();
    const asked =
      before === null
        ? attachments.attach([label], true, null).then(([outcome]) => outcome!)
        : attachments.attachAgain(label, true, server, before);
    this.heard(asked, (outcome) => this.attached(outcome, before, standing));
  }

  private attached({ error }: AttachOutcome, before: string | null, standing: Standing): void {
    const { client, judge, trace } = this.ports;
    if (trace.isOn) trace.say(`${this.name}: attach ${this.label} ${before ?? ''}: ${error?.message ?? 'done'}`);
    const volume = client.attachments.list.find((one) => this.label.endsWith(one.name)) ?? null;
    if (volume === null) {
      this.state = 'away';
      if (before !== null && error !== null && GONE.includes(error.code)) this.id = null;
      return;
    }
    [this.volume, this.id, this.state] = [volume, volume.id, 'open'];
    judge.opened(this.name, volume.id, before);
    judge.lists(this.name, volume.id, volume.olderSnapshots ?? [], standing);
  }

  private detach(): void {
    const { client, judge, random, trace } = this.ports;
    this.state = 'detaching';
    judge.left(this.name);
    const asked = client.attachments.detach([this.label], false, null).then(([outcome]) => outcome!);
    this.heard(asked, ({ error }) => {
      if (trace.isOn) trace.say(`${this.name}: detach ${this.label}: ${error?.message ?? 'done'}`);
      if (client.attachments.list.includes(this.volume!)) {
        this.state = 'open';
        judge.opened(this.name, this.volume!.id, null);
        return;
      }
      [this.volume, this.state] = [null, 'away'];
      if (!this.isSentAway && !random.chance(RETURN_CHANCE)) this.id = null;
    });
  }

  private read(): void {
    const { random, judge } = this.ports;
    const volume = this.volume!;
    const { life } = this;
    const sectors = volume.sizeBytes / SECTOR_BYTES;
    const count = random.int(1, Math.min(READ_SECTORS_MAX, sectors));
    const positionBytes = random.int(0, sectors - count) * SECTOR_BYTES;
    const buffer = Buffer.alloc(count * SECTOR_BYTES, 0x5b);
    const io: VolumeIo = {
      op: 'read',
      positionBytes,
      lengthBytes: buffer.length,
      buffer,
      bufferOffset: 0,
      fua: false,
      mustKeepAllocated: false,
      done: (status) => {
        if (this.life !== life) return;
        this.state = 'open';
        if (status === STATUS.OK) judge.reads(this.name, volume.id, positionBytes, buffer);
        else this.failed('read', status);
      },
    };
    this.state = 'reading';
    volume.submit(io);
  }

  /** Asks for the changes since an older snapshot that the server has listed. */
  private askChanges(): void {
    const { ports } = this;
    const volume = this.volume!;
    const { life } = this;
    const { olderSnapshots } = volume;
    if (olderSnapshots === undefined || olderSnapshots.length === 0) return;
    const { id } = ports.random.pick(olderSnapshots);
    this.state = 'reading';
    volume.changes(id, 0, volume.sizeBytes, (status, changes) => {
      if (this.life !== life) return;
      this.state = 'open';
      const pairs = changes.flatMap(({ lengthBytes, isChanged }) => [lengthBytes, isChanged ? 1 : 0]);
      if (status === STATUS.OK) ports.differs(id, volume.id, pairs);
    });
  }

  /** An operation has failed. The end of the client's process also makes operations in flight fail. */
  private failed(what: string, status: Status): void {
    if (status === STATUS.SHUTTING_DOWN || this.ports.isReplaced()) return;
    this.ports.judge.breach(`N2: a ${what} of ${this.name} in ${this.label} ended with ${statusEntry(status).name}`);
  }

  private heard<T>(asked: Promise<T>, told: (value: T) => void): void {
    const { life } = this;
    void asked.then((value) => {
      if (this.life === life) told(value);
    });
  }
}
