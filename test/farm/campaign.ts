// The rounds of the farm drill: an event disturbs the owner of a pool, the loads must continue at another server, and the machine returns.
// Invariant: the each broken promise is a problem, in a sentence. A pause that is longer than its goal is only reported, because times
// depend on the machine.

import { setTimeout as sleep } from 'node:timers/promises';
import { lengthMs } from '../support/drills/gaps.ts';
import type { Scene } from '../support/drills/scene.ts';
import { median, seconds as secondsOf, table } from '../support/drills/table.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { EVENTS, type FarmEvent, type Kind, type Struck } from './events.ts';
import type { Load } from './loads.ts';
import { type FarmServer, POOLS, type Site } from './machines.ts';
import { PARTS, type Parts, partsOf } from './parts.ts';

/**
 * Time in which the loads run undisturbed before an event, so that servers learn of each other, and late effects of resumed servers show.
 */
const QUIET_MS = [5_000, 9_000] as const;
const SERVED_MS = 60_000;
const GOES_ON_MS = 60_000;
const UNMOUNTED_MS = 30_000;
/** A load has continued once it has had this many further answers. */
const ANSWERS = 5;
const PLANNED_MS = 4_000;
const FORCE_BEYOND_MS = 15_000;

/** The effect of one event on one client. */
export interface Pause {
  readonly event: string;
  readonly kind: Kind;
  readonly client: string;
  readonly gapMs: number;
  readonly parts: Parts | null;
}

export class Campaign {
  readonly pauses: Pause[] = [];
  readonly late: string[] = [];
  private readonly scene: Scene;
  private readonly site: Site;
  private readonly loads: readonly Load[];
  private readonly takeOverMs: number;
  private left: FarmEvent[] = [];

  constructor(scene: Scene, site: Site, loads: readonly Load[], takeOverMs: number) {
    [this.scene, this.site, this.loads, this.takeOverMs] = [scene, site, loads, takeOverMs];
  }

  /** `only`: name of the one event that happens; null: all of them. */
  async run(rounds: number, only: string | null): Promise<void> {
    for (let round = 1; round <= rounds && !this.scene.isEnding; round++) {
      await this.round(round, this.pick(only));
      if (this.scene.problems > 0) return;
    }
  }

  /** Ends all loads, and notes what they have found. */
  async finish(): Promise<void> {
    for (const load of this.loads) this.scene.problem(...(await load.finish()));
  }

  /** Returns the next event. Every event happens once, in random order, before any of them happens again. */
  private pick(only: string | null): FarmEvent {
    if (this.left.length === 0) this.left = EVENTS.filter(({ name }) => only === null || name === only);
    return this.left.splice(this.scene.random.int(0, this.left.length - 1), 1)[0]!;
  }

  private async round(round: number, event: FarmEvent): Promise<void> {
    const { site } = this;
    const { random } = this.scene;
    this.scene.round(`round ${round}, ${event.name}`);
    await sleep(random.int(...QUIET_MS));
    const chosen = random.pick(Object.keys(POOLS));
    const owners = new Map(Object.keys(POOLS).map((pool) => [pool, site.ownerOf(pool)]));
    const victims = new Set(event.isForAll === true ? [...owners.values()].map(({ owner }) => owner) : [owners.get(chosen)!.owner]);
    // Only the event `move` leaves the other pools of the same server alone.
    const isHit = (pool: string): boolean => (event.name === 'move' ? pool === chosen : victims.has(owners.get(pool)!.owner));
    const pools = Object.keys(POOLS).filter(isHit);
    for (const { pulse } of this.loads) pulse.gaps.forget();
    const clock = { atMs: Date.now() };
    const begins = (): void => void (clock.atMs = Date.now());
    const struck = [...victims].map((owner): Struck => {
      const next = random.pick(site.servers.filter((server) => !victims.has(server)));
      return { site, pool: chosen, owner, next, begins };
    });
    const moved = event.name.endsWith('moved') ? pools.filter((pool) => pool === chosen) : pools;
    await Promise.all(struck.map(async (one) => event.happens(one)));
    await this.servedAgain(event, moved, owners);
    await this.goesOn(this.loads.filter(({ pool }) => moved.includes(pool)));
    const names = [...victims].map(({ name }) => name).join(' and ');
    this.scene.say(`${round}. ${event.name}: ${names} owned ${pools.join(' and ')}`);
    for (const pool of moved) this.note(event, pool, clock.atMs);
    await sleep(random.int(0, 2_000));
    for (const one of struck) await event.heal?.(one);
    await this.healed(pools, victims);
    await this.goesOn(this.loads);
    for (const load of this.loads) this.scene.problem(...(await load.check()));
  }

  private async servedAgain(
    event: FarmEvent,
    pools: readonly string[],
    before: ReadonlyMap<string, { readonly generation: number }>,
  ): Promise<void> {
    const isServed = (): boolean => pools.every((pool) => this.site.ownerOf(pool).generation > before.get(pool)!.generation);
    await waitFor(isServed, SERVED_MS, `A server serves ${pools.join(' and ')} after: ${event.name}`);
  }

  private async goesOn(loads: readonly Load[]): Promise<void> {
    const counts = loads.map(({ pulse }) => pulse.count);
    const go = (): boolean => loads.every(({ pulse }, index) => pulse.count >= counts[index]! + ANSWERS);
    const hasFailed = (): boolean => this.loads.some((load) => load.failures().length > 0);
    await waitFor(() => hasFailed() || go(), GOES_ON_MS, `I/O goes on: ${loads.map(({ name }) => name).join(', ')}`);
  }

  /** Waits until the earlier owners have none of the pools mounted, unless they own them again. */
  private async healed(pools: readonly string[], victims: ReadonlySet<FarmServer>): Promise<void> {
    for (const server of victims)
      for (const pool of pools) {
        const isGone = async (): Promise<boolean> => this.site.ownerOf(pool).owner === server || !(await server.hasMounted(pool));
        await waitFor(isGone, UNMOUNTED_MS, `${server.name} has unmounted ${pool}`);
      }
  }

  private note(event: FarmEvent, pool: string, atMs: number): void {
    const { owner, generation } = this.site.ownerOf(pool);
    for (const { name, pulse } of this.loads.filter((load) => load.pool === pool)) {
      const { fromMs, toMs } = pulse.gaps.longest;
      // Only the part of the pause after the beginning of the change counts.
      const gap = { fromMs: Math.max(atMs, fromMs + performance.timeOrigin), toMs: toMs + performance.timeOrigin };
      const gapMs = lengthMs(gap);
      const parts = partsOf(owner.host, pool, generation, gap);
      this.pauses.push({ event: event.name, kind: event.kind, client: name, gapMs, parts });
      const goalMs = event.kind === 'planned' ? PLANNED_MS : event.kind === 'force' ? this.takeOverMs + FORCE_BEYOND_MS : Infinity;
      const text = `   ${pool} by ${owner.name}, generation ${generation}; ${name}: gap ${seconds(gapMs)}${partsText(parts)}`;
      this.scene.say(gapMs > goalMs ? `${text}   LATE` : text);
      if (gapMs > goalMs) this.late.push(`${event.name}, ${name}: ${seconds(gapMs)}`);
    }
  }
}

/** For each event, median and maximum of the pauses and of their parts. */
export function pausesTable(pauses: readonly Pause[]): string {
  const rows = [...new Set(pauses.map(({ event }) => event))].map((name) => {
    const of = pauses.filter(({ event }) => event === name);
    const parts = PARTS.map((part) => spread(of.flatMap(({ parts: one }) => (one === null ? [] : [one[part]]))));
    return [name, String(of.length), spread(of.map(({ gapMs }) => gapMs)), ...parts];
  });
  return table([['event', 'pauses', 'gap', ...PARTS], ...rows]);
}

function spread(values: readonly number[]): string {
  return values.length === 0 ? '-' : `${seconds(median(values))}, max ${seconds(Math.max(...values))}`;
}

function partsText(parts: Parts | null): string {
  return parts === null ? '' : ` = ${PARTS.map((part) => `${part} ${seconds(parts[part])}`).join(', ')}`;
}

function seconds(ms: number): string {
  return secondsOf(ms, 2);
}
