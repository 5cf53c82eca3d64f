// Adds up what seeds have done, and says it as people read it.
// Leaves measuring the time to the campaign.

import type { SeedCounts, SeedResult } from './run-seed.ts';

export interface Sums {
  seeds: number;
  ios: number;
  givenUp: number;
  detached: number;
  pathFailures: number;
  processCrashes: number;
  listenerCrashes: number;
  clientCrashes: number;
  pauses: number;
  faults: number;
  events: number;
  simulatedMs: number;
}

const HOUR_SECONDS = 3600;

export function noSums(): Sums {
  return {
    seeds: 0,
    ios: 0,
    givenUp: 0,
    detached: 0,
    pathFailures: 0,
    processCrashes: 0,
    listenerCrashes: 0,
    clientCrashes: 0,
    pauses: 0,
    faults: 0,
    events: 0,
    simulatedMs: 0,
  };
}

export function addTo(sums: Sums, counts: SeedCounts): void {
  sums.seeds++;
  sums.ios += counts.ios;
  sums.givenUp += counts.givenUp;
  sums.detached += counts.detached;
  sums.pathFailures += counts.pathFailures;
  sums.processCrashes += counts.processCrashes;
  sums.listenerCrashes += counts.listenerCrashes;
  sums.clientCrashes += counts.clientCrashes;
  sums.pauses += counts.pauses;
  sums.faults += counts.faults;
  sums.events += counts.events;
  sums.simulatedMs += counts.simulatedMs;
}

/** The last line of one seed. */
export function resultLine({ seed, breaches, counts, digest }: SeedResult): string {
  const said = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  return `seed ${seed}: ${breaches.length} violations, ${said.join(', ')}, digest ${digest}`;
}

export function sumsLine(sums: Sums): string {
  const { seeds, ios, givenUp, detached, pathFailures, processCrashes, listenerCrashes, clientCrashes, pauses } = sums;
  const hours = (sums.simulatedMs / 1000 / HOUR_SECONDS).toFixed(1);
  return (
    `${seeds} seeds, ${ios} I/Os (${givenUp} given up), ${detached} detaches, ${pathFailures} path failures, ` +
    `${processCrashes} server process crashes, ${listenerCrashes} listener crashes, ${clientCrashes} client crashes, ${pauses} pauses, ${hours} h simulated`
  );
}

/** What an hour of the same would hold. */
export function perHourLine(sums: Sums, seconds: number): string {
  const perHour = (count: number): string => ((count / seconds) * HOUR_SECONDS).toExponential(2);
  return (
    `per hour at this rate: ${perHour(sums.ios)} I/Os, ${perHour(sums.pathFailures)} path failures, ` +
    `${perHour(sums.processCrashes)} server process crashes`
  );
}
