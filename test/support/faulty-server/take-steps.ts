// Stops the listener of the server for tests right after a step of taking a shared pool. The variable TAKE_STOPS names a folder. A file in
// this folder that has the name of a step contains the signal that the listener then gets. Before it gets the signal, the listener writes
// its pid to another file. Invariants: each file stops one listener; without the variable, no step stops a listener.

import { readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { errnoName } from '@rsio/base/lib/errors';

export const TAKE_STOPS = 'RSIO_TEST_TAKE_STOPS';

/**
 * The steps in their order. `fencing`: before a fence. `record ...`: after the record was stored. `probed`: before the volumes are opened.
 */
export const TAKE_STEPS = [
  'connected',
  'record taking',
  'fencing',
  'fenced',
  'record fenced',
  'opened',
  'mounted',
  'record serving',
  'probed',
  'volumes opened',
] as const;
export type TakeStep = (typeof TAKE_STEPS)[number];

/** Name of the file with the pid of the listener that was stopped after this step. */
export function stoppedFile(step: TakeStep): string {
  return `${step}, pid`;
}

export function reached(step: TakeStep): void {
  const folder = process.env[TAKE_STOPS];
  if (folder === undefined) return;
  try {
    const signal = readFileSync(path.join(folder, step), 'utf8') as NodeJS.Signals;
    unlinkSync(path.join(folder, step));
    writeFileSync(path.join(folder, stoppedFile(step)), String(process.pid));
    process.kill(process.pid, signal);
  } catch (thrown) {
    // Another listener has already stopped after this step.
    if (errnoName(thrown) !== 'ENOENT') throw thrown;
  }
}
