// What the bench and its load processes say to each other over the channel between them: orders there, one report for each back.
// Plain data.

import type { Workload } from '../workload.ts';
import type { NbdVolume } from './nbd-dialect.ts';
import type { RsioVolume } from './rsio-dialect.ts';

export interface Target {
  readonly host: string;
  readonly port: number;
  readonly volume: RsioVolume | NbdVolume;
}

export type Order =
  | { readonly type: 'open'; readonly target: Target }
  /** Every marked block once, its mark compared. */
  | { readonly type: 'check' }
  | {
      readonly type: 'measure';
      readonly workload: Workload;
      readonly seed: number;
      readonly warmUpMs: number;
      readonly windowMs: number;
      /** Whose time is counted. */
      readonly serverPids: readonly number[];
    };

/** One window. Cores: seconds of processor time for each second. */
export interface Measured {
  readonly windowMs: number;
  readonly iops: number;
  readonly serverCores: number;
  readonly generatorCores: number;
  /** What everything else on the machine used. */
  readonly otherCores: number;
}

export type Report = { readonly type: 'done'; readonly measured: Measured | null } | { readonly type: 'failed'; readonly message: string };
