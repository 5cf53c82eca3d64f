// Input and output of an update: the model takes an action, and returns the next state and the effects to execute. Invariants: an action
// says what happened, never what to do next; an effect contains everything that it needs; effects are started in order. A run is an
// exploration, a search, a path test or a series of samples; `run` is the number of a run.

import type { FileFingerprint } from '@rsio/common/config/config-file';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import type { Exploration, FoundServer } from '@rsio/protocol/explorer/exploration';
import type { Finding } from '@rsio/protocol/explorer/finding';
import type { MachineInterface } from '@rsio/protocol/explorer/interfaces';
import type { ProbeReport } from '@rsio/protocol/explorer/probe-report';
import type { Size } from '../widgets/canvas.ts';
import type { Input } from '../widgets/keys.ts';
import type { ExploreRequest, MirrorWish } from './command.ts';
import type { Failure, MirrorsSample, Sample, SearchedServer, State, StoredFile } from './state.ts';

export interface Step {
  readonly state: State;
  readonly effects: readonly Effect[];
}

export function step(state: State, ...effects: readonly Effect[]): Step {
  return { state, effects };
}

export type Effect =
  /** Writes the file. `before` is the fingerprint that the file must still have; null if the file must not exist yet. */
  | { readonly kind: 'save'; readonly text: string; readonly before: FileFingerprint | null }
  | { readonly kind: 'read-file' | 'reload-daemon' | 'look-at-machine' | 'start-daemon' }
  | { readonly kind: 'explore'; readonly run: number; readonly config: RscltConfig; readonly request: ExploreRequest }
  | {
      readonly kind: 'search';
      readonly run: number;
      readonly config: RscltConfig;
      readonly namespace: string;
      readonly addresses: readonly string[];
    }
  | { readonly kind: 'sample' | 'test-paths'; readonly run: number }
  | { readonly kind: 'sample-later' | 'ask-mirrors' | 'ask-mirrors-later'; readonly run: number }
  | { readonly kind: 'attach' | 'detach'; readonly volume: string }
  | { readonly kind: 'create-mirror'; readonly wish: MirrorWish }
  | {
      readonly kind: 'remove-mirror';
      readonly mirror: { readonly namespace: string; readonly name: string; readonly universe: number };
    }
  | { readonly kind: 'start-page' | 'end' };

export type ReloadOutcome =
  | { readonly kind: 'applied'; readonly changes: readonly string[] }
  | { readonly kind: 'not-running' }
  | { readonly kind: 'failed'; readonly failure: Failure };

export type Action =
  | Input
  | { readonly kind: 'resized'; readonly size: Size }
  | { readonly kind: 'machine'; readonly interfaces: readonly MachineInterface[] }
  | { readonly kind: 'saved'; readonly stored: StoredFile }
  /** If another program has changed the file, `theirs` is the current file; otherwise null. */
  | { readonly kind: 'not-saved'; readonly failure: Failure; readonly theirs: StoredFile | null }
  | { readonly kind: 'reloaded'; readonly outcome: ReloadOutcome }
  | { readonly kind: 'file-read'; readonly stored: StoredFile }
  | { readonly kind: 'failed'; readonly what: string; readonly failure: Failure }
  | { readonly kind: 'found'; readonly run: number; readonly server: FoundServer }
  | { readonly kind: 'explored'; readonly run: number; readonly exploration: Exploration }
  | { readonly kind: 'searching'; readonly run: number; readonly doing: string }
  | { readonly kind: 'tried'; readonly run: number; readonly report: ProbeReport }
  | { readonly kind: 'searched'; readonly run: number; readonly servers: readonly SearchedServer[]; readonly findings: readonly Finding[] }
  | { readonly kind: 'run-failed'; readonly run: number; readonly failure: Failure }
  | { readonly kind: 'sampled'; readonly run: number; readonly sample: Sample | Failure }
  | { readonly kind: 'sample-due' | 'mirrors-due'; readonly run: number }
  | { readonly kind: 'mirrors-heard'; readonly run: number; readonly answer: MirrorsSample | Failure }
  | { readonly kind: 'tested'; readonly run: number; readonly lines: readonly string[] }
  | { readonly kind: 'done'; readonly sentence: string };
