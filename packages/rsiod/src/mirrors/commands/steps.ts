// Executes the steps of a command that changes servers, and undoes them if one fails. Pure. Invariants: steps are undone in reverse order.
// If a step cannot be undone completely, the earlier steps are not undone, because the objects that are left depend on them.

import { RsError, toRsError } from '@rsio/base/lib/errors';

export interface Step {
  /** First words of the error message if the step fails. */
  readonly name: string;
  readonly do: () => Promise<unknown>;
  /**
   * Undoes the step. Also called for a step that has failed halfway. Returns a sentence for each object that could not be removed. Never
   * throws.
   */
  readonly undo?: () => Promise<readonly string[]>;
}

/**
 * Executes steps in order. Throws the error of the failed step. `tell` makes the part of the error message that lists the sentences of
 * `undo`.
 */
export async function runSteps(steps: readonly Step[], tell?: (left: readonly string[]) => string): Promise<void> {
  for (const [index, { name, do: work }] of steps.entries()) {
    try {
      await work();
    } catch (thrown) {
      const { code, message } = toRsError(thrown);
      const left = await takeBack(steps.slice(0, index + 1));
      throw new RsError(code, `${name}: ${message}${tell === undefined ? '' : `; ${tell(left)}`}`);
    }
  }
}

async function takeBack(begun: readonly Step[]): Promise<readonly string[]> {
  for (const { undo } of begun.toReversed()) {
    const left = (await undo?.()) ?? [];
    if (left.length > 0) return left;
  }
  return [];
}
