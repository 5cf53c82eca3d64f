// Keeps the figures of the last minutes and hours in memory. Pure except for the kept figures. Invariants: the memory for all objects
// together is bounded (HISTORY_BYTES_MAX), and each machine has a fair share of this memory; an idle volume gets no history.

import { type HistoryName, type HistoryView, type Ring, SERIES, type SeriesName } from './history.ts';
import { HISTORY_IDLE_MS, HISTORY_OBJECTS_MAX, REORDER_MS, RINGS } from '../limits.ts';
import type { Load, Percentiles, Picture } from './picture.ts';

type Figures = { readonly [K in SeriesName]?: number | null };

/**
 * Series in which the value of a step is the largest sample in the step. In all other series, the value of a step is the mean of the
 * samples.
 */
const LARGEST: ReadonlySet<SeriesName> = new Set(['p99Us', 'p999Us']);

export class HistoryRings implements HistoryView {
  /** The objects with a history. The object that has been idle longest comes first. */
  private readonly objects = new Map<HistoryName, Kept>();
  /** Key: machine. Value: number of objects of the machine that have a history. */
  private readonly counts = new Map<string | null, number>();

  ringsOf(of: HistoryName): readonly Ring[] {
    return (this.objects.get(of)?.rings ?? []).map((ring) => ring.view());
  }

  record({ takenMs, servers, clients, volumes, pools }: Picture): void {
    const sources = servers.some(({ machine }) => machine !== null) ? servers.filter(({ machine }) => machine !== null) : clients;
    const machines = new Map(servers.map(({ id, machine }) => [id, machine]));
    const ofLoad = (kind: 'server' | 'client' | 'volume', { id, load }: Loaded, machine: string | null): void =>
      this.add(`${kind}:${id}`, machine, takenMs, figuresOf([load]), isActive(load));
    this.add('all', null, takenMs, figuresOf(sources.map(({ load }) => load)), true);
    for (const server of servers) ofLoad('server', server, server.machine);
    for (const client of clients) ofLoad('client', client, client.machine);
    for (const volume of volumes) ofLoad('volume', volume, machines.get(volume.server) ?? null);
    for (const { id, server, totalBytes, freeBytes } of pools) {
      const usedBytes = totalBytes === null || freeBytes === null ? null : totalBytes - freeBytes;
      this.add(`pool:${id}`, machines.get(server) ?? null, takenMs, { usedBytes, totalBytes }, true);
    }
  }

  /** Adds the figures of one sample to the history of an object. `machine`: the machine whose own daemon reports the object. */
  private add(name: HistoryName, machine: string | null, atMs: number, figures: Figures, isBusy: boolean): void {
    let kept = this.objects.get(name);
    if (kept === undefined) {
      if (!isBusy || !this.hasPlace(machine, atMs)) return;
      kept = { rings: RINGS.map(({ stepMs, length }) => new ObjectRing(stepMs, length)), machine, busyMs: atMs };
      this.objects.set(name, kept);
      this.count(machine, 1);
    } else if (isBusy && atMs - kept.busyMs >= REORDER_MS) {
      // The object was busy, so it moves to the end of the map.
      kept.busyMs = atMs;
      this.objects.delete(name);
      this.objects.set(name, kept);
    }
    for (const ring of kept.rings) ring.add(atMs, figures);
  }

  /**
   * Makes room for another object of `machine` if necessary: drops an object that has been idle for HISTORY_IDLE_MS, else an object of the
   * machine with the most objects. Returns false if dropping the latter would leave that machine with fewer objects than `machine`.
   */
  private hasPlace(machine: string | null, atMs: number): boolean {
    if (this.objects.size < HISTORY_OBJECTS_MAX) return true;
    const [oldest] = this.objects;
    if (oldest !== undefined && Math.abs(atMs - oldest[1].busyMs) >= HISTORY_IDLE_MS) return this.drop(oldest);
    const [greedy, most] = [...this.counts].reduce((first, next) => (next[1] > first[1] ? next : first));
    const has = this.counts.get(machine) ?? 0;
    if (has + 1 >= most) return false;
    const victim = [...this.objects].find(([, kept]) => kept.machine === greedy);
    return victim !== undefined && this.drop(victim);
  }

  private drop([name, { machine }]: readonly [HistoryName, Kept]): boolean {
    this.count(machine, -1);
    return this.objects.delete(name);
  }

  private count(machine: string | null, more: number): void {
    const count = (this.counts.get(machine) ?? 0) + more;
    if (count > 0) this.counts.set(machine, count);
    else this.counts.delete(machine);
  }
}

interface Loaded {
  readonly id: string;
  readonly load: Load;
}

interface Kept {
  readonly rings: readonly ObjectRing[];
  /** The machine that reported the object as its own when the history began. */
  readonly machine: string | null;
  /** Time of the last activity, with a precision of REORDER_MS. */
  busyMs: number;
}

/** One ring of one object. The value of a step is at index `step % length`. */
class ObjectRing {
  private readonly stepMs: number;
  private readonly length: number;
  private readonly values = new Map<SeriesName, Float32Array>();
  private last = -1;
  private first = -1;
  /** Number of samples that the last step of the ring has so far. */
  private samples = 0;

  constructor(stepMs: number, length: number) {
    this.stepMs = stepMs;
    this.length = length;
  }

  add(atMs: number, figures: Figures): void {
    const step = Math.floor(atMs / this.stepMs);
    if (this.last < 0 || step < this.last || step - this.last >= this.length) this.clear(step);
    while (this.last < step) {
      this.last++;
      this.samples = 0;
      for (const values of this.values.values()) values[this.last % this.length] = Number.NaN;
    }
    this.samples++;
    for (const name of SERIES) {
      const value = figures[name];
      if (value !== undefined && value !== null) this.put(name, value);
    }
  }

  view(): Ring {
    const count = this.last < 0 ? 0 : Math.min(this.length, this.last - this.first + 1);
    const steps = Array.from({ length: count }, (_, at) => this.last - count + 1 + at);
    const series = [...this.values].map(([name, values]) => {
      const list = steps.map((step) => values[step % this.length] ?? Number.NaN);
      return [name, list.map((value) => (Number.isNaN(value) ? null : value))] as const;
    });
    return { stepMs: this.stepMs, timesMs: steps.map((step) => step * this.stepMs), series: Object.fromEntries(series) };
  }

  private put(name: SeriesName, value: number): void {
    let values = this.values.get(name);
    if (values === undefined) {
      values = new Float32Array(this.length).fill(Number.NaN);
      this.values.set(name, values);
    }
    const at = this.last % this.length;
    const before = values[at] ?? Number.NaN;
    if (Number.isNaN(before)) values[at] = value;
    else values[at] = LARGEST.has(name) ? Math.max(before, value) : before + (value - before) / this.samples;
  }

  /** Empties the ring. Called when the ring is new, when the clock was set back, and when all values in the ring are too old. */
  private clear(step: number): void {
    for (const values of this.values.values()) values.fill(Number.NaN);
    this.first = step;
    this.last = step;
    this.samples = 0;
  }
}

function isActive(load: Load): boolean {
  return load.readsPerSecond > 0 || load.writesPerSecond > 0;
}

/**
 * Combines several loads. Rates are added. The median latency is the mean of the medians, weighted by the rates. Each high percentile is
 * the largest value of this percentile among the loads.
 */
function figuresOf(loads: readonly Load[]): Figures {
  const sum = (key: 'readsPerSecond' | 'writesPerSecond' | 'readBytesPerSecond' | 'writtenBytesPerSecond'): number =>
    loads.reduce((total, load) => total + load[key], 0);
  const latencies = loads.flatMap(({ readLatency, writeLatency, readsPerSecond, writesPerSecond }) => [
    ...weighted(readLatency, readsPerSecond),
    ...weighted(writeLatency, writesPerSecond),
  ]);
  const weight = latencies.reduce((total, [, share]) => total + share, 0);
  const worst = (key: keyof Percentiles): number | null =>
    latencies.length === 0 ? null : Math.max(...latencies.map(([percentiles]) => percentiles[key]));
  return {
    readBytesPerSecond: sum('readBytesPerSecond'),
    writtenBytesPerSecond: sum('writtenBytesPerSecond'),
    readsPerSecond: sum('readsPerSecond'),
    writesPerSecond: sum('writesPerSecond'),
    p50Us: weight === 0 ? null : latencies.reduce((total, [{ p50Us }, share]) => total + p50Us * share, 0) / weight,
    p99Us: worst('p99Us'),
    p999Us: worst('p999Us'),
  };
}

function weighted(percentiles: Percentiles | null, share: number): [Percentiles, number][] {
  return percentiles === null ? [] : [[percentiles, share]];
}
