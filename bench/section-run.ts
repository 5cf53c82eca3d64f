// What a section of the comparison is measured with, and what it leaves behind. sections.ts has their names and plans.
// Invariant: a section that could not measure something says why.

import type { GoalFigures } from './goals.ts';
import type { SectionPlan } from './sections.ts';
import type { Sheet } from './sheet.ts';

/** What a section leaves behind. */
export interface SectionResult {
  readonly sheets: readonly Sheet[];
  readonly figures: GoalFigures;
  /** Sentences: what could not be measured, and the remedy. */
  readonly absent: readonly string[];
}

/** What a section is measured with. */
export interface SectionContext {
  readonly plan: SectionPlan;
  readonly cores: { readonly server: number; readonly load: number };
  /** Folder of the cached file. */
  readonly parent: string;
  /** Run when the bench ends, last first. */
  readonly endings: (() => Promise<void> | void)[];
}
