// The steps of a command that changes servers, and what becomes of them if one fails. Pure. Invariants: steps are taken back in the reverse
// order; what is left of one still needs the steps before it, so these are not taken back then.

import { RsError, toRsError } from '@rsio/common/lib/errors';

export interface Step {
  /** Begins the error if it fails. */
  readonly name: string;
  readonly do: () => Promise<unknown>;
  /** Takes back what the step has made, or may have made. Returns a sentence for each thing that is left. Never throws. */
  readonly undo?: () => Promise<readonly string[]>;
}

/** Executes steps in order. Throws the error of the step that failed, and with it what `tell` makes of what is left. */
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
