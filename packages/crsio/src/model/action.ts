// What the model hears: keys, the size of the terminal, and how that ended which an effect began. `run` names the effect that speaks.
// Invariant: an action is plain data, and says what happened, never what is to follow.

import type { Exploration, FoundServer } from '@rsio/protocol/explorer/discovery/exploration';
import type { Finding } from '@rsio/protocol/explorer/discovery/finding';
import type { MachineInterface } from '@rsio/protocol/explorer/network/interfaces';
import type { ProbeReport } from '@rsio/protocol/explorer/probe/probe-report';
import type { Size } from '../widgets/canvas.ts';
import type { Input } from '../widgets/keys.ts';
import type { Failure, Sample, SearchedServer, StoredFile } from './state.ts';

/** What became of asking rsiod to read the file. */
export type Told =
  | { readonly kind: 'applied'; readonly changes: readonly string[] }
  | { readonly kind: 'not-running' }
  | { readonly kind: 'failed'; readonly failure: Failure };

export type Action =
  | Input
  | { readonly kind: 'resized'; readonly size: Size }
  | { readonly kind: 'machine'; readonly interfaces: readonly MachineInterface[] }
  | { readonly kind: 'saved'; readonly stored: StoredFile }
  /** `theirs`: what another program made of the file meanwhile. */
  | { readonly kind: 'not-saved'; readonly failure: Failure; readonly theirs: StoredFile | null }
  | { readonly kind: 'told'; readonly told: Told }
  | { readonly kind: 'file-read'; readonly stored: StoredFile }
  | { readonly kind: 'failed'; readonly what: string; readonly failure: Failure }
  | { readonly kind: 'found'; readonly run: number; readonly server: FoundServer }
  | { readonly kind: 'explored'; readonly run: number; readonly exploration: Exploration }
  | { readonly kind: 'searching'; readonly run: number; readonly doing: string }
  | { readonly kind: 'tried'; readonly run: number; readonly report: ProbeReport }
  | { readonly kind: 'searched'; readonly run: number; readonly servers: readonly SearchedServer[]; readonly findings: readonly Finding[] }
  | { readonly kind: 'run-failed'; readonly run: number; readonly failure: Failure }
  | { readonly kind: 'sampled'; readonly run: number; readonly sample: Sample | Failure }
  | { readonly kind: 'sample-due'; readonly run: number }
  | { readonly kind: 'tested'; readonly run: number; readonly lines: readonly string[] }
  | { readonly kind: 'done'; readonly sentence: string };
