// The frontend of gates for AoE: shows attached volumes to hosts on an Ethernet segment. Invariants: a gate answers for a volume only while
// the volume is attached here, and only after its slot is on disk; no gate offers a volume that several clients may write.

import type { AoeGateConfig } from '@rsio/common/config/schema/types';
import type { AoeGateView } from '@rsio/api/rsiod/methods';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { isSnapshot, nameInUniverse } from '@rsio/base/lib/volume-name';
import { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import { type Frontend, inUse, type ShownAs } from '@rsio/rsiod/frontends/frontend';
import type { FrontendVolume } from '@rsio/rsiod/volumes/frontend-volume';
import { GapWatch } from '../gap-watch.ts';
import { GATE_RECORD_LOOK_MS } from '../limits.ts';
import type { GateParts } from '@rsio/rsiod/frontends/gate-frontends';
import { offers } from '../standbys.ts';
import { AoeGate } from './aoe-gate.ts';
import { AoeNotes } from './aoe-notes.ts';

export interface AoeGatesOptions extends Pick<GateParts, 'clock' | 'log' | 'takeFromPrograms'> {
  readonly notesFile: string;
  readonly version: string;
  readonly gates: readonly AoeGateConfig[];
}

export class AoeGates implements Frontend {
  readonly needsUnused = false;
  readonly leftVolumes: readonly FrontendVolume[] = [];
  private readonly options: AoeGatesOptions;
  private readonly notes: AoeNotes;
  private readonly lines: RateLimitedLog;
  private readonly gaps: GapWatch;
  private config: readonly AoeGateConfig[];
  /** By name. */
  private readonly gates = new Map<string, AoeGate>();
  /** By volume and name of the gate: the reason why this gate does not offer the volume. Each reason is logged once. */
  private readonly shown = new Map<FrontendVolume, Map<string, string>>();
  private isRunning = false;
  private isLoaded = false;
  /** Why the slots are not known. */
  private trouble: string | null = null;
  private triedMs = 0;
  /** Settles when all changes requested so far have been made. Changes are made one after another. */
  private turn: Promise<void> = Promise.resolve();

  constructor(options: AoeGatesOptions) {
    const { clock, log } = options;
    this.options = options;
    this.config = options.gates;
    this.notes = new AoeNotes(options.notesFile);
    this.lines = new RateLimitedLog(clock, log);
    this.gaps = new GapWatch(
      clock,
      (lengthMs) => this.cutAll(lengthMs),
      () => this.tick(),
    );
  }

  async start(): Promise<void> {
    this.isRunning = true;
    await this.follow(this.config);
  }

  /** Applies the [gate] sections with protocol = aoe. */
  follow(config: readonly AoeGateConfig[]): Promise<void> {
    this.config = config;
    return this.inTurn(() => this.apply());
  }

  /** True if hosts may write to the volume, so that programs of this machine do not get it. */
  claims(volume: FrontendVolume): boolean {
    return this.config.some((config) => config.hasUnsafeWrites && offers(config, volume));
  }

  show(volume: FrontendVolume): Promise<void> {
    if (!this.shown.has(volume)) this.shown.set(volume, new Map());
    return this.inTurn(() => this.offerAll());
  }

  shownAs(): ShownAs | null {
    return null;
  }

  grown(volume: FrontendVolume): Promise<void> {
    for (const gate of this.gates.values()) {
      const target = gate.targetOf(volume);
      if (target !== null) gate.engine.announce(target);
    }
    return Promise.resolve();
  }

  /** Each acknowledged write is already on the server's disk. */
  incarnationChanged(): void {}

  usersOf(volume: FrontendVolume): Promise<readonly string[]> {
    const nowMs = this.options.clock.monotonicMs();
    const users = [...this.gates.values()].flatMap((gate) => {
      const count = gate.targetOf(volume)?.usersAt(nowMs).length ?? 0;
      return count === 0 ? [] : [`${count} host${count === 1 ? '' : 's'} of gate ${gate.config.name}`];
    });
    return Promise.resolve(users);
  }

  async hide(volume: FrontendVolume, force: boolean): Promise<void> {
    const users = force ? [] : await this.usersOf(volume);
    if (users.length > 0) throw inUse(users);
    await this.drop(volume);
  }

  drop(volume: FrontendVolume): Promise<void> {
    this.shown.delete(volume);
    for (const gate of this.gates.values()) {
      const target = gate.targetOf(volume);
      if (target !== null) gate.hide(target);
    }
    return Promise.resolve();
  }

  release(): Promise<void> {
    return Promise.resolve();
  }

  releaseLeft(): Promise<void> {
    return Promise.resolve();
  }

  async close(): Promise<void> {
    this.isRunning = false;
    await this.inTurn(() => this.apply());
    this.lines.close();
  }

  async handOver(): Promise<void> {
    await this.close();
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  views(): AoeGateView[] {
    return this.config.map((config) => {
      const view = this.gates.get(config.name)?.view() ?? emptyView(config);
      return { ...view, trouble: this.trouble ?? view.trouble };
    });
  }

  private inTurn(change: () => Promise<void>): Promise<void> {
    this.turn = this.turn.then(change);
    return this.turn;
  }

  private cutAll(lengthMs: number): void {
    for (const gate of this.gates.values()) gate.cutOff();
    this.options.log.warn(
      `rsiod stood still for ${(lengthMs / 1000).toFixed(1)} s: the gates of AoE have dropped all frames that had arrived`,
    );
  }

  private tick(): void {
    const nowMs = this.options.clock.monotonicMs();
    if (nowMs - this.triedMs < GATE_RECORD_LOOK_MS || !this.isMissing()) return;
    this.triedMs = nowMs;
    void this.inTurn(() => this.offerAll());
  }

  private async apply(): Promise<void> {
    const isWanted = this.isRunning && this.config.length > 0 && (await this.hasNotes());
    const wanted = new Map((isWanted ? this.config : []).map((config) => [config.name, config]));
    const gone = [...this.gates.values()].filter((gate) => {
      const next = wanted.get(gate.config.name);
      return next === undefined || next.interface !== gate.config.interface || next.shelf !== gate.config.shelf;
    });
    for (const { config } of gone) this.gates.delete(config.name);
    await Promise.all(gone.map((gate) => gate.close()));
    if (wanted.size > 0) this.gaps.start();
    else this.gaps.stop();
    for (const config of wanted.values()) {
      const known = this.gates.get(config.name);
      const gate = known ?? this.newGate(config);
      known?.change(config);
      for (const target of [...gate.engine.targets.values()])
        if (
          !offers(config, target.volume) ||
          isOfPrograms(config, target.volume) ||
          (slotIn(config, target.volume) ?? target.slot) !== target.slot
        )
          gate.hide(target);
      gate.listen();
    }
    await this.offerAll();
  }

  /** Without the slots, no volume is offered, because a host could get a different volume than before. */
  private async hasNotes(): Promise<boolean> {
    try {
      if (!this.isLoaded) await this.notes.load();
      this.isLoaded = true;
      this.trouble = null;
    } catch (thrown) {
      this.trouble = toRsError(thrown).message;
      this.options.log.warn(`The gates of AoE offer nothing: ${this.trouble}; then run rsconfig reload`);
    }
    return this.isLoaded;
  }

  private newGate(config: AoeGateConfig): AoeGate {
    const { clock, log, version } = this.options;
    const { lines, gaps, notes } = this;
    const gate = new AoeGate(config, { clock, log, lines, gaps, version, keep: (shelf, id, next) => notes.change(shelf, id, next) });
    this.gates.set(config.name, gate);
    return gate;
  }

  private isMissing(): boolean {
    for (const volume of this.shown.keys())
      for (const gate of this.gates.values()) if (offers(gate.config, volume) && gate.targetOf(volume) === null) return true;
    return false;
  }

  private async offerAll(): Promise<void> {
    for (const gate of [...this.gates.values()])
      for (const volume of [...this.shown.keys()])
        if (offers(gate.config, volume) && gate.targetOf(volume) === null) await this.offer(gate, volume);
  }

  /** A failure is logged, because other frontends of the volume do not depend on it. The gate tries again. */
  private async offer(gate: AoeGate, volume: FrontendVolume): Promise<void> {
    const { config } = gate;
    try {
      refuse(volume);
      const configured = slotIn(config, volume);
      const others = new Set([...config.slots.values()].filter((slot) => slot !== configured));
      const { slot, ...notes } = await this.notes.of(config.shelf, volume.id, configured, (one) => others.has(one));
      const rival = gate.engine.targets.get(slot)?.volume;
      if (others.has(slot) || rival !== undefined)
        throw new RsError(
          'E_CONFIG',
          `its slot ${slot} is that of ${rival === undefined ? 'another volume in the key slots' : nameInUniverse(rival)}: give it another one (key slots)`,
        );
      const isShown = (): boolean => this.shown.has(volume);
      const isWanted = (): boolean => isShown() && gate.isServing;
      if (isWanted() && isOfPrograms(config, volume)) await this.options.takeFromPrograms(config, volume, isShown, isWanted);
      if (isWanted()) gate.show(slot, volume, notes);
    } catch (thrown) {
      const { message } = toRsError(thrown);
      const said = this.shown.get(volume);
      if (said?.get(config.name) !== message)
        this.options.log.warn(`Gate ${config.name} does not offer ${nameInUniverse(volume)}: ${message}`);
      said?.set(config.name, message);
    }
  }
}

/** The slot that the configuration gives to a volume; null if it gives none. */
function slotIn({ slots }: AoeGateConfig, volume: Pick<FrontendVolume, 'name' | 'universe'>): number | null {
  return slots.get(nameInUniverse(volume)) ?? (volume.universe === 0 ? (slots.get(volume.name) ?? null) : null);
}

/** True if hosts could write to a volume that programs of this machine may write. */
function isOfPrograms({ hasUnsafeWrites }: AoeGateConfig, { shownTo }: FrontendVolume): boolean {
  return hasUnsafeWrites && shownTo === 'programs';
}

/** Several clients may read a snapshot, because no client can write to it. */
function refuse(volume: FrontendVolume): void {
  if (volume.shared && !isSnapshot(volume.name))
    throw new RsError('E_VOLUME', 'several clients may write it at the same time: remove "shared" from rssrvcfg of its server');
}

function emptyView({ name, interface: place, shelf, hasUnsafeWrites }: AoeGateConfig): AoeGateView {
  const figures = { commands: 0, answers: 0, late: 0, dropped: 0, waiting: 0, receivedBytes: 0, sentBytes: 0, cut: 0 };
  const writes = hasUnsafeWrites ? 'unsafe' : 'off';
  return { name, interface: place, shelf, writes, mac: null, dataBytes: null, trouble: null, hosts: [], volumes: [], figures };
}
