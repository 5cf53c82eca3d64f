// One gate for hosts of AoE: the engine, the helper with the packet socket, and the volumes by slot. Rule D1. One socket has all frames of
// a shelf: with two, a write could wait in one while its repetition and a newer write pass through the other. Invariants: after a gap of
// the event loop, or a step of the clock, nothing that arrived before is executed; the gate answers no command for a volume that it no
// longer offers.

import type { AoeGateConfig } from '@rsio/common/config/schema/types';
import type { AoeGateView } from '@rsio/api/rsiod/methods';
import type { Clock } from '@rsio/base/lib/clock';
import { escapeControls } from '@rsio/base/lib/printable';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import type { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import type { FrontendVolume } from '@rsio/rsiod/volumes/frontend-volume';
import type { GapWatch } from '../gap-watch.ts';
import type { GateLog } from '../gate.ts';
import { AOE_CLOCK_STEP_MS, GATE_STOP_MS } from '../limits.ts';
import { AoeEngine, type Card } from './aoe-engine.ts';
import { AoeTarget, type Notes } from './aoe-target.ts';
import { FrameHelper } from './frame-helper.ts';
import { OutputBatch } from './output-batch.ts';
import { macOf, macText, sectorsIn } from './wire.ts';

export interface AoeGatePorts {
  readonly clock: Clock;
  readonly log: GateLog;
  readonly lines: RateLimitedLog;
  readonly gaps: Pick<GapWatch, 'look'>;
  readonly version: string;
  /** Resolves when the notes of a volume on the shelf are on disk. */
  keep(shelf: number, id: string, notes: Notes): Promise<void>;
}

export class AoeGate {
  config: AoeGateConfig;
  readonly engine: AoeEngine;
  private readonly ports: AoeGatePorts;
  private readonly output: OutputBatch;
  private readonly helper: FrameHelper;
  private trouble: string | null = null;
  private clockOffMs: number;
  private isClosed = false;
  private cuts = 0;

  constructor(config: AoeGateConfig, ports: AoeGatePorts) {
    const { clock, version } = ports;
    this.config = config;
    this.ports = ports;
    this.clockOffMs = this.measuredMs();
    this.output = new OutputBatch(clock);
    this.engine = new AoeEngine({
      shelf: config.shelf,
      version,
      clock,
      output: this.output,
      stoodStill: () => !this.mayRead(),
      warn: (sentence) => ports.lines.note(`Gate ${config.name}`, () => ports.log.warn(`Gate ${this.config.name}: ${sentence}`)),
    });
    this.helper = new FrameHelper(config, clock, {
      mayRead: () => this.mayRead(),
      card: (card) => this.cardChanged(card),
      frame: (bytes, start, end, receivedUs) => this.engine.receive(bytes, start, end, receivedUs),
      connected: (write) => this.output.connect(write),
      failed: (reason) => this.failed(reason),
    });
    this.change(config);
  }

  listen(): void {
    this.helper.start();
  }

  /** Applies another configuration with the same interface and shelf. */
  change(config: AoeGateConfig): void {
    this.config = config;
    this.engine.hosts = config.hosts === null ? null : new Set(config.hosts.map(macOf));
    this.engine.hasUnsafeWrites = config.hasUnsafeWrites;
    if (config.hasUnsafeWrites && !this.isClosed)
      this.ports.log.warn(
        `Gate ${config.name} lets hosts of AoE write: a frame that the network delays can revert an acknowledged block (aoe-writes = unsafe)`,
      );
  }

  get isServing(): boolean {
    return !this.isClosed;
  }

  targetOf(volume: FrontendVolume): AoeTarget | null {
    for (const target of this.engine.targets.values()) if (target.volume === volume) return target;
    return null;
  }

  show(slot: number, volume: FrontendVolume, notes: Notes): void {
    const target = new AoeTarget(slot, volume, notes, (next) => this.ports.keep(this.config.shelf, volume.id, next));
    this.engine.targets.set(slot, target);
    this.engine.announce(target);
  }

  hide(target: AoeTarget): void {
    target.isGone = true;
    if (this.engine.targets.get(target.slot) === target) this.engine.targets.delete(target.slot);
  }

  /** Throws away what has arrived and is not executed yet, because this process stood still. */
  cutOff(): void {
    this.cuts++;
    this.helper.restart();
  }

  /** Takes no more frames, and waits up to GATE_STOP_MS until no volume executes a command. Hosts repeat commands that got no answer. */
  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    for (const target of this.engine.targets.values()) this.hide(target);
    this.helper.stop();
    if (this.engine.inVolumes === 0) return;
    await new Promise<void>((resolve) => {
      const timer = this.ports.clock.after(GATE_STOP_MS, resolve);
      this.engine.whenIdle = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  view(): AoeGateView {
    const { name, shelf, hasUnsafeWrites } = this.config;
    const { card, counts, targets } = this.engine;
    const nowMs = this.ports.clock.monotonicMs();
    const users = new Set<number>();
    for (const target of targets.values()) for (const mac of target.usersAt(nowMs)) users.add(mac);
    return {
      name,
      interface: this.config.interface,
      shelf,
      writes: hasUnsafeWrites ? 'unsafe' : 'off',
      mac: card === null ? null : macText(card.mac),
      dataBytes: card === null ? null : sectorsIn(card.mtu) * 512,
      trouble: this.trouble ?? (card === null ? 'its interface is being opened' : null),
      hosts: [...users].map(macText),
      volumes: [...targets.values()].map(({ slot, volume, notes }) => ({
        slot,
        label: volumeLabel(volume),
        sizeBytes: volume.sizeBytes,
        readonly: volume.readonly || !hasUnsafeWrites,
        config: escapeControls(notes.config.toString('latin1')),
        masks: notes.masks.map(macText),
        reserved: notes.reserved.map(macText),
      })),
      figures: {
        ...counts,
        waiting: this.engine.inVolumes,
        receivedBytes: this.helper.receivedBytes,
        sentBytes: this.output.sentBytes,
        cut: this.cuts,
      },
    };
  }

  /** False if what has arrived must not be executed. */
  private mayRead(): boolean {
    if (this.ports.gaps.look()) return false;
    const before = this.clockOffMs;
    this.clockOffMs = this.measuredMs();
    if (Math.abs(this.clockOffMs - before) <= AOE_CLOCK_STEP_MS) return true;
    this.cutOff();
    return false;
  }

  /** By how much the wall clock is ahead of the monotonic clock. */
  private measuredMs(): number {
    return this.ports.clock.wallMs() - this.ports.clock.monotonicMs();
  }

  private cardChanged(card: Card | null): void {
    this.engine.card = card;
    if (card === null) return;
    this.trouble = null;
    const { log } = this.ports;
    const { name, shelf } = this.config;
    log.info(
      `Gate ${name} answers at ${this.config.interface} (${macText(card.mac)}, ${sectorsIn(card.mtu)} sectors in a frame) as shelf ${shelf}`,
    );
    for (const target of this.engine.targets.values()) this.engine.announce(target);
  }

  private failed(reason: string): void {
    if (this.trouble !== reason) this.ports.log.warn(`Gate ${this.config.name} has no packet socket, and tries again: ${reason}`);
    this.trouble = reason;
  }
}
