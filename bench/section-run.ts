// The context with which a section runs, and its result. sections.ts has the names and plans of sections. Invariant: a section that could
// not measure something says why.

import type { GoalFigures } from './goals.ts';
import type { SectionPlan } from './sections.ts';
import type { Sheet } from './sheet.ts';

export interface SectionResult {
  readonly sheets: readonly Sheet[];
  readonly figures: GoalFigures;
  /** Sentences that say what could not be measured, with the remedy. */
  readonly absent: readonly string[];
}

export interface SectionContext {
  readonly plan: SectionPlan;
  readonly cores: { readonly server: number; readonly load: number };
  /** Folder of the cached file. */
  readonly parent: string;
  /** Called in reverse order when the bench ends. */
  readonly endings: (() => Promise<void> | void)[];
}
