// Finds out whether pools are too full. If a pool has less than its reserve free, writes that need new space wait. At certain percentages
// of usage, the server warns. Pure. Invariants: pools are identified by id, because sections may be renamed. A state of a pool is
// reported once when it begins and once when it ends. Small changes of the free space do not end a state.

import { printSize } from '@rsio/base/lib/units';
import { FULL_LESS_PERCENT, FULL_PERCENTS, RESERVE_ROOM_MAX_BYTES, RESERVE_ROOM_PART, SPACE_NEAR_BYTES } from './limits.ts';
import type { PoolState } from './catalogue.ts';

const MIB = 1024 * 1024;

type Measured = Pick<PoolState, 'name' | 'identity' | 'space' | 'reserve'>;

interface Judged {
  readonly isShort: boolean;
  /** The highest percentage of FULL_PERCENTS that the usage has reached; null if the usage is below all of them. */
  readonly fullPercent: number | null;
}

export interface SpaceReport {
  /** Name of the pool. */
  readonly pool: string;
  /** Name of the beginning state in the event log. */
  readonly state: string;
  readonly level: 'info' | 'warn' | 'error';
  readonly text: string;
}

const ROOMY: Judged = { isShort: false, fullPercent: null };

export class PoolSpace {
  /** Maps the id of a pool to its state at the last measurement. */
  private judged: ReadonlyMap<string, Judged> = new Map();

  /** Ids of the pools that have less than their reserve free. */
  get shortIds(): readonly string[] {
    return [...this.judged].filter(([, { isShort }]) => isShort).map(([id]) => id);
  }

  of({ identity }: Pick<PoolState, 'identity'>): Judged {
    return (identity === null ? undefined : this.judged.get(identity.id)) ?? ROOMY;
  }

  /**
   * Returns the changes since the last measurement. Forgets a pool whose space is unknown, so that no write waits for space in this
   * pool.
   */
  look(pools: readonly Measured[]): SpaceReport[] {
    const next = new Map<string, Judged>();
    const reports: SpaceReport[] = [];
    for (const pool of pools) {
      if (pool.identity === null || pool.space === null || pool.space.totalBytes === 0) continue;
      const before = this.of(pool);
      const now = judge(pool, pool.space, before);
      next.set(pool.identity.id, now);
      reports.push(...reportsOf(pool, pool.space, before, now));
    }
    this.judged = next;
    return reports;
  }

  /** Returns true if a pool is so close to its reserve that it must be measured often. */
  isNear(pools: readonly Measured[]): boolean {
    return pools.some(({ space, reserve }) => space !== null && space.freeBytes - space.totalBytes * reserve < SPACE_NEAR_BYTES);
  }
}

function judge({ reserve }: Measured, { totalBytes, freeBytes }: NonNullable<PoolState['space']>, before: Judged): Judged {
  const reserveBytes = totalBytes * reserve;
  const roomBytes = before.isShort ? Math.min(totalBytes / RESERVE_ROOM_PART, RESERVE_ROOM_MAX_BYTES) : 0;
  const usedPercent = ((totalBytes - freeBytes) * 100) / totalBytes;
  const passed = FULL_PERCENTS.find((percent) => {
    const wasPassed = before.fullPercent !== null && before.fullPercent >= percent;
    return usedPercent >= percent - (wasPassed ? FULL_LESS_PERCENT : 0);
  });
  return { isShort: reserve > 0 && freeBytes < reserveBytes + roomBytes, fullPercent: passed ?? null };
}

function reportsOf(
  { name, reserve }: Measured,
  { totalBytes, freeBytes }: NonNullable<PoolState['space']>,
  before: Judged,
  now: Judged,
): SpaceReport[] {
  const reports: SpaceReport[] = [];
  const [free, reserved] = [rounded(freeBytes), rounded(totalBytes * reserve)];
  if (now.isShort && !before.isShort) {
    const text =
      `Pool ${name} has ${free} free, less than its reserve of ${reserved}: writes that need new space wait. ` +
      'Enlarge its file system, remove volumes, or lower reserve in rssrvcfg';
    reports.push({ pool: name, state: 'short of space', level: 'error', text });
  }
  if (before.isShort && !now.isShort)
    reports.push({
      pool: name,
      state: 'has room',
      level: 'info',
      text: `Pool ${name} has ${free} free, more than its reserve of ${reserved}: no write waits for it`,
    });
  if ((now.fullPercent ?? 0) > (before.fullPercent ?? 0))
    reports.push({
      pool: name,
      state: `${now.fullPercent}% full`,
      level: 'warn',
      text: `Pool ${name} is more than ${now.fullPercent}% full, ${free} are free: enlarge its file system, or remove volumes`,
    });
  if (before.fullPercent !== null && now.fullPercent === null)
    reports.push({
      pool: name,
      state: `below ${FULL_PERCENTS.at(-1)}% full`,
      level: 'info',
      text: `Pool ${name} is less than ${FULL_PERCENTS.at(-1)}% full again, ${free} are free`,
    });
  return reports;
}

function rounded(bytes: number): string {
  const whole = Math.floor(bytes);
  return printSize(whole < MIB ? whole : whole - (whole % MIB));
}
