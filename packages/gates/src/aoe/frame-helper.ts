// Runs the Perl program that has the packet socket of one AoE gate (helpers/aoe.pl), and starts it again when it has ended. Rule D1.
// Invariants: what an earlier program has received is never passed on after `restart`; reading pauses when frames have used up their share
// of the event loop; the program ends with this process.

import { type ChildProcess, spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { killChild } from '@rsio/base/lib/kill-child';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import { transportOf, withDataEvents, withReceiveBuffer } from '@rsio/rsiod/frontends/streams/socket';
import { PRCTL } from '@rsio/rsiod/keeper/keeper-choice';
import { helperFile } from '@rsio/rsiod/sys/helper-files';
import { AOE_BUSY_MS, AOE_FRAME_MAX_BYTES, AOE_HELPER_RETRY_MS, AOE_INPUT_BYTES, AOE_WINDOW_MS } from '../limits.ts';
import type { Card } from './aoe-engine.ts';
import type { WriteFrames } from './output-batch.ts';
import { RecordReader } from './record-reader.ts';
import { MAC_BYTES, macAt } from './wire.ts';

const REASON_MAX_CHARS = 200;
const CARD_BYTES = MAC_BYTES + 4;

export interface FrameHelperEvents {
  /** Returns false if the frames that have arrived must not be executed; `restart` has then been called. */
  mayRead(): boolean;
  card(card: Card | null): void;
  frame(bytes: Buffer, start: number, end: number, receivedUs: number): void;
  /** Null: frames go nowhere. */
  connected(write: WriteFrames | null): void;
  failed(reason: string): void;
}

interface Run {
  readonly child: ChildProcess;
  readonly reader: RecordReader;
  said: string;
}

export class FrameHelper {
  receivedBytes = 0;
  private readonly interface: string;
  private readonly shelf: number;
  private readonly clock: Clock;
  private readonly events: FrameHelperEvents;
  private readonly command: string;
  private run: Run | null = null;
  private retry: Timer | null = null;
  private isWanted = false;
  private windowMs = 0;
  private busyMs = 0;

  constructor(place: { readonly interface: string; readonly shelf: number }, clock: Clock, events: FrameHelperEvents, command = 'perl') {
    this.interface = place.interface;
    this.shelf = place.shelf;
    this.clock = clock;
    this.events = events;
    this.command = command;
  }

  start(): void {
    this.isWanted = true;
    if (this.run === null && this.retry === null) this.begin();
  }

  stop(): void {
    this.isWanted = false;
    this.retry?.cancel();
    this.retry = null;
    this.end();
  }

  /** Throws away everything that has arrived and has not been passed on, including what is in the helper's socket. */
  restart(): void {
    if (!this.isWanted) return;
    this.end();
    this.retry?.cancel();
    this.retry = null;
    this.begin();
  }

  private end(): void {
    const { run } = this;
    if (run === null) return;
    this.run = null;
    run.reader.end();
    killChild(run.child);
    run.child.stdout?.destroy();
    this.events.connected(null);
    this.events.card(null);
  }

  /** Starting a program can throw, for example if this process has no free descriptors. */
  private begin(): void {
    try {
      this.startProgram();
    } catch (thrown) {
      this.end();
      this.lost(toRsError(thrown).message);
    }
  }

  private lost(reason: string): void {
    this.events.failed(reason);
    if (this.isWanted) this.retry = this.clock.after(AOE_HELPER_RETRY_MS, () => this.again());
  }

  private startProgram(): void {
    const args = [this.interface, this.shelf, process.pid, PRCTL[process.arch] ?? 0, AOE_FRAME_MAX_BYTES].map(String);
    const child = spawn(this.command, [helperFile('aoe.pl'), ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...(process.env['PATH'] === undefined ? {} : { PATH: process.env['PATH'] }), LC_ALL: 'C' },
    });
    const reader = new RecordReader({
      record: (bytes, start, end, timeUs) => this.record(bytes, start, end, timeUs),
      broken: () => killChild(child),
    });
    const run: Run = { child, reader, said: '' };
    this.run = run;
    const lost = (reason: string): void => {
      if (this.run !== run) return;
      this.end();
      this.lost(reason);
    };
    child.on('error', (error) => lost(error.message));
    child.on('exit', (code, signal) =>
      setImmediate(() => lost(run.said.trim() || `the helper ended with ${signal ?? `status ${code ?? 'unknown'}`}`)),
    );
    child.stdin?.on('error', () => undefined);
    child.stderr?.setEncoding('utf8');
    child.stderr?.on('data', (text: string) => {
      run.said = (run.said + text).slice(-REASON_MAX_CHARS);
    });
    this.connect(run);
  }

  private again(): void {
    this.retry = null;
    if (this.isWanted && this.run === null) this.begin();
  }

  private connect(run: Run): void {
    const { stdin, stdout } = run.child;
    if (!(stdin instanceof Socket) || !(stdout instanceof Socket)) return;
    const receive = (bytes: Buffer, end: number): void => {
      if (this.run !== run || !this.events.mayRead() || this.run !== run) return;
      this.receivedBytes += end;
      const beganMs = this.clock.monotonicMs();
      run.reader.receive(bytes, end);
      this.rest(beganMs, input);
    };
    const input = withReceiveBuffer(stdout, Buffer.allocUnsafeSlow(AOE_INPUT_BYTES), receive) ?? withDataEvents(stdout, receive);
    input.on('error', () => undefined);
    input.resume();
    const transport = transportOf(stdin);
    this.events.connected((bytes, lengthBytes, sent) => transport.write(bytes, 0, lengthBytes, sent));
  }

  /** Pauses reading, so that a flood of frames leaves time for other work. */
  private rest(beganMs: number, input: Socket): void {
    const nowMs = this.clock.monotonicMs();
    if (nowMs - this.windowMs >= AOE_WINDOW_MS) {
      this.windowMs = nowMs;
      this.busyMs = 0;
    }
    this.busyMs += nowMs - beganMs;
    if (this.busyMs < AOE_BUSY_MS || input.destroyed) return;
    input.pause();
    const restMs = Math.max(AOE_WINDOW_MS - AOE_BUSY_MS, AOE_WINDOW_MS - (nowMs - this.windowMs));
    this.clock.after(restMs, () => (input.destroyed ? undefined : input.resume()));
  }

  private record(bytes: Buffer, start: number, end: number, timeUs: number): void {
    if (timeUs !== 0) this.events.frame(bytes, start, end, timeUs);
    else if (end - start === CARD_BYTES) this.events.card({ mac: macAt(bytes, start), mtu: bytes.readUInt32BE(start + MAC_BYTES) });
  }
}
