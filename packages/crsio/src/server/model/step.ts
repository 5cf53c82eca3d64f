// Input and output of an update of the server's part: the model takes an action, and returns the next state and the effects to execute.
// Invariants: an action says what happened, never what to do next; an effect contains everything that it needs.

import type { Failure } from '../../model/state.ts';
import type { Size } from '../../widgets/canvas.ts';
import type { Input } from '../../widgets/keys.ts';
import type { Order } from './command.ts';
import type { Look, ServerState } from './state.ts';

export interface ServerStep {
  readonly state: ServerState;
  readonly effects: readonly ServerEffect[];
}

export function serverStep(state: ServerState, ...effects: readonly ServerEffect[]): ServerStep {
  return { state, effects };
}

export type ServerEffect =
  | { readonly kind: 'tick-later' }
  /** Reads the file and asks rssrv. */
  | { readonly kind: 'look' }
  | { readonly kind: 'order'; readonly id: number; readonly order: Order }
  | { readonly kind: 'start-page' | 'end' };

/** What a change has led to. */
export interface Outcome {
  readonly sentence: string;
  /** Something that the user must see, such as a new key; null if there is nothing. */
  readonly shown: { readonly title: string; readonly text: string } | null;
}

export type ServerAction =
  | Input
  | { readonly kind: 'resized'; readonly size: Size }
  | { readonly kind: 'tick'; readonly nowMs: number; readonly wallMs: number }
  | { readonly kind: 'looked'; readonly look: Look }
  | { readonly kind: 'ordered'; readonly id: number; readonly outcome: Outcome }
  | { readonly kind: 'refused'; readonly id: number; readonly failure: Failure };
