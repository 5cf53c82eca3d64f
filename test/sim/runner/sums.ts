// Adds up the results of seeds, and makes the lines that the campaign prints.
// The campaign measures the time.

import type { SeedCounts, SeedResult } from './run-seed.ts';

export type Sums = { -readonly [Name in keyof SeedCounts]: number } & {
  seeds: number;
  cpuMs: number;
  /** For each kind of fault: the number of faults. */
  readonly kinds: Record<string, number>;
};

const HOUR_SECONDS = 3600;
const MILLION = 1e6;
const US_PER_MS = 1000;

export function noSums(): Sums {
  return {
    seeds: 0,
    cpuMs: 0,
    kinds: {},
    ios: 0,
    abandoned: 0,
    detached: 0,
    takeOvers: 0,
    losses: 0,
    pathFailures: 0,
    processCrashes: 0,
    listenerCrashes: 0,
    machineCrashes: 0,
    clientCrashes: 0,
    pauses: 0,
    writeBackErrors: 0,
    sectorsForgotten: 0,
    lostIncarnations: 0,
    recoveries: 0,
    replayFaults: 0,
    doubleCrashes: 0,
    crashTakeOvers: 0,
    faults: 0,
    poolHandlers: 0,
    storeOrders: 0,
    snapshots: 0,
    snapshotsRefused: 0,
    claims: 0,
    mirrorIos: 0,
    mirrorAttaches: 0,
    mirrorTakeOvers: 0,
    mirrorLosses: 0,
    replicasLeft: 0,
    replicasReturned: 0,
    lateReplicas: 0,
    disksLost: 0,
    recordsLost: 0,
    events: 0,
    simulatedMs: 0,
  };
}

export function addTo(sums: Sums, { counts, faults }: Pick<SeedResult, 'counts' | 'faults'>, cpuMs: number): void {
  sums.seeds++;
  sums.cpuMs += cpuMs;
  for (const name of Object.keys(counts) as (keyof SeedCounts)[]) sums[name] += counts[name];
  for (const [kind, count] of Object.entries(faults)) sums.kinds[kind] = (sums.kinds[kind] ?? 0) + count;
}

/** The last line of one seed. */
export function resultLine({ seed, breaches, counts, digest }: SeedResult): string {
  const said = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  return `seed ${seed}: ${breaches.length} violations, ${said.join(', ')}, digest ${digest}`;
}

export function sumsLine(sums: Sums): string {
  const { seeds, ios, abandoned, detached, takeOvers, losses, pathFailures } = sums;
  const { processCrashes, listenerCrashes, machineCrashes, clientCrashes, pauses } = sums;
  const { writeBackErrors, sectorsForgotten, lostIncarnations, recoveries, replayFaults, doubleCrashes, crashTakeOvers, poolHandlers } =
    sums;
  const { storeOrders, snapshots, snapshotsRefused, claims, mirrorIos } = sums;
  const hours = (sums.simulatedMs / 1000 / HOUR_SECONDS).toFixed(1);
  return (
    `${seeds} seeds, ${ios} I/Os (${abandoned} abandoned), ${detached} detaches, ${takeOvers} take-overs (${losses} heard), ` +
    `${pathFailures} path failures, ` +
    `${processCrashes} server process crashes, ${listenerCrashes} listener crashes, ${machineCrashes} machine crashes, ${clientCrashes} client crashes, ${pauses} pauses, ` +
    `${writeBackErrors} write-back errors (${sectorsForgotten} sectors forgotten, ${lostIncarnations} incarnations ended by a sync), ${recoveries} recoveries ` +
    `(${replayFaults} struck), ${doubleCrashes} crashes of client and machine, ${crashTakeOvers} of a machine with take-over, ${poolHandlers} orders for volumes, ${storeOrders} for snapshots and moves of files, ${snapshots} snapshots (${snapshotsRefused} refused), ${claims} claims of mirrors, ${mirrorIos} I/Os of mirrors, ${hours} h simulated`
  );
}

/** The line about mirrors: their faults, their I/Os, and the time for each I/O; null: no seed had mirrors. */
export function mirrorLine(sums: Sums): string | null {
  const { mirrorIos, mirrorAttaches, mirrorTakeOvers, mirrorLosses, replicasLeft, replicasReturned, lateReplicas, disksLost, recordsLost } =
    sums;
  if (mirrorIos === 0) return null;
  const { faults, processCrashes, listenerCrashes, machineCrashes, clientCrashes, cpuMs } = sums;
  const crashes = processCrashes + listenerCrashes + machineCrashes + clientCrashes;
  const each = (count: number): string => ((count / mirrorIos) * MILLION).toFixed(0);
  return (
    `mirrors: ${mirrorIos} I/Os, ${((cpuMs * US_PER_MS) / mirrorIos).toFixed(1)} us of CPU for each; ` +
    `${mirrorAttaches} attaches, ${mirrorTakeOvers} of them by force (${mirrorLosses} heard), ` +
    `${replicasLeft} replicas left and ${replicasReturned} returned (${lateReplicas} late), ${disksLost} disks and ${recordsLost} records lost; ` +
    `for a million I/Os: ${each(faults)} faults, ${each(crashes)} crashes, ${each(mirrorTakeOvers)} take-overs, ${each(replicasReturned)} returns`
  );
}

export function kindsLine({ faults, kinds }: Sums): string {
  const said = Object.entries(kinds).toSorted(([, one], [, other]) => other - one);
  return `${faults} faults: ${said.map(([kind, count]) => `${count} ${kind}`).join(', ')}`;
}

/** Returns the line with the counts, each extrapolated to one hour. */
export function perHourLine(sums: Sums, seconds: number): string {
  const perHour = (count: number): string => ((count / seconds) * HOUR_SECONDS).toExponential(2);
  return (
    `per hour at this rate: ${perHour(sums.ios + sums.mirrorIos)} I/Os, ${perHour(sums.pathFailures)} path failures, ` +
    `${perHour(sums.processCrashes)} server process crashes`
  );
}
