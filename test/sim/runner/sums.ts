// Adds up the results of seeds, and prints them for people.
// The campaign measures the time.

import type { SeedCounts, SeedResult } from './run-seed.ts';

export interface Sums {
  seeds: number;
  ios: number;
  abandoned: number;
  detached: number;
  takeOvers: number;
  losses: number;
  pathFailures: number;
  processCrashes: number;
  listenerCrashes: number;
  machineCrashes: number;
  clientCrashes: number;
  pauses: number;
  writeBackErrors: number;
  sectorsForgotten: number;
  lostIncarnations: number;
  recoveries: number;
  replayFaults: number;
  doubleCrashes: number;
  crashTakeOvers: number;
  faults: number;
  poolOrders: number;
  storeOrders: number;
  snapshots: number;
  snapshotsRefused: number;
  claims: number;
  mirrorIos: number;
  lateReplicas: number;
  disksLost: number;
  events: number;
  simulatedMs: number;
}

const HOUR_SECONDS = 3600;

export function noSums(): Sums {
  return {
    seeds: 0,
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
    poolOrders: 0,
    storeOrders: 0,
    snapshots: 0,
    snapshotsRefused: 0,
    claims: 0,
    mirrorIos: 0,
    lateReplicas: 0,
    disksLost: 0,
    events: 0,
    simulatedMs: 0,
  };
}

export function addTo(sums: Sums, counts: SeedCounts): void {
  sums.seeds++;
  sums.ios += counts.ios;
  sums.abandoned += counts.abandoned;
  sums.detached += counts.detached;
  sums.takeOvers += counts.takeOvers;
  sums.losses += counts.losses;
  sums.pathFailures += counts.pathFailures;
  sums.processCrashes += counts.processCrashes;
  sums.listenerCrashes += counts.listenerCrashes;
  sums.machineCrashes += counts.machineCrashes;
  sums.clientCrashes += counts.clientCrashes;
  sums.pauses += counts.pauses;
  sums.writeBackErrors += counts.writeBackErrors;
  sums.sectorsForgotten += counts.sectorsForgotten;
  sums.lostIncarnations += counts.lostIncarnations;
  sums.recoveries += counts.recoveries;
  sums.replayFaults += counts.replayFaults;
  sums.doubleCrashes += counts.doubleCrashes;
  sums.crashTakeOvers += counts.crashTakeOvers;
  sums.faults += counts.faults;
  sums.poolOrders += counts.poolOrders;
  sums.storeOrders += counts.storeOrders;
  sums.snapshots += counts.snapshots;
  sums.snapshotsRefused += counts.snapshotsRefused;
  sums.claims += counts.claims;
  sums.mirrorIos += counts.mirrorIos;
  sums.lateReplicas += counts.lateReplicas;
  sums.disksLost += counts.disksLost;
  sums.events += counts.events;
  sums.simulatedMs += counts.simulatedMs;
}

/** The last line of one seed. */
export function resultLine({ seed, breaches, counts, digest }: SeedResult): string {
  const said = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  return `seed ${seed}: ${breaches.length} violations, ${said.join(', ')}, digest ${digest}`;
}

export function sumsLine(sums: Sums): string {
  const { seeds, ios, abandoned, detached, takeOvers, losses, pathFailures } = sums;
  const { processCrashes, listenerCrashes, machineCrashes, clientCrashes, pauses } = sums;
  const { writeBackErrors, sectorsForgotten, lostIncarnations, recoveries, replayFaults, doubleCrashes, crashTakeOvers, poolOrders } = sums;
  const { storeOrders, snapshots, snapshotsRefused, claims, mirrorIos, lateReplicas, disksLost } = sums;
  const hours = (sums.simulatedMs / 1000 / HOUR_SECONDS).toFixed(1);
  return (
    `${seeds} seeds, ${ios} I/Os (${abandoned} abandoned), ${detached} detaches, ${takeOvers} take-overs (${losses} heard), ` +
    `${pathFailures} path failures, ` +
    `${processCrashes} server process crashes, ${listenerCrashes} listener crashes, ${machineCrashes} machine crashes, ${clientCrashes} client crashes, ${pauses} pauses, ` +
    `${writeBackErrors} write-back errors (${sectorsForgotten} sectors forgotten, ${lostIncarnations} incarnations ended by a sync), ${recoveries} recoveries ` +
    `(${replayFaults} struck), ${doubleCrashes} crashes of client and machine, ${crashTakeOvers} of a machine with take-over, ${poolOrders} orders for volumes, ${storeOrders} for snapshots and moves of files, ${snapshots} snapshots (${snapshotsRefused} refused), ${claims} claims of mirrors, ${mirrorIos} I/Os of mirrors (${lateReplicas} replicas late, ${disksLost} disks lost), ${hours} h simulated`
  );
}

/** The extrapolation to an hour. */
export function perHourLine(sums: Sums, seconds: number): string {
  const perHour = (count: number): string => ((count / seconds) * HOUR_SECONDS).toExponential(2);
  return (
    `per hour at this rate: ${perHour(sums.ios)} I/Os, ${perHour(sums.pathFailures)} path failures, ` +
    `${perHour(sums.processCrashes)} server process crashes`
  );
}
