// What the model wants done outside, as data; effects.ts does it and answers with actions.
// Invariant: an effect carries all it needs; nothing outside looks into the state.

import type { FileFingerprint } from '@rsio/common/config/config-file';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import type { ExploreRequest } from './command.ts';

export type Effect =
  /** Writes the file; `before`: what it must still be, null: it must not exist. */
  | { readonly kind: 'save'; readonly text: string; readonly before: FileFingerprint | null }
  | { readonly kind: 'read-file' | 'tell-daemon' | 'look-at-machine' | 'start-daemon' }
  | { readonly kind: 'explore'; readonly run: number; readonly config: RscltConfig; readonly request: ExploreRequest }
  /** Explores one namespace and tries every pair of interfaces. */
  | {
      readonly kind: 'search';
      readonly run: number;
      readonly config: RscltConfig;
      readonly namespace: string;
      readonly addresses: readonly string[];
    }
  | { readonly kind: 'sample' | 'test-paths'; readonly run: number }
  | { readonly kind: 'sample-later'; readonly run: number }
  | { readonly kind: 'attach' | 'detach'; readonly volume: string }
  | { readonly kind: 'end' };
