// -a and -d: the daemon attaches and detaches, here each outcome becomes a line.
// Invariant: one failure hides no other outcome, and makes exit code 1.

import type { AttachOutcome } from '@rsio/protocol/control/methods';
import { formatOutcome } from '../format.ts';
import { type CommandContext, printJson } from './command-context.ts';

interface AttachOptions {
  readonly json: boolean;
  /** Empty: all. */
  readonly names: readonly string[];
  readonly readOnly: boolean;
  readonly server: string | null;
}

interface DetachOptions {
  readonly json: boolean;
  /** Empty: all. */
  readonly names: readonly string[];
  readonly force: boolean;
}

/** Returns the exit code: 1 when one of the volumes could not be attached. */
export async function attach(context: CommandContext, { json, names, readOnly, server }: AttachOptions): Promise<number> {
  const result = await context.call('attach', { names, readOnly, server });
  if (json) printJson(context, result);
  if (result.outcomes.length === 0) context.note('No volume is offered to this client: see rsconfig -q');
  return printOutcomes(context, result.outcomes, json ? null : 'attached');
}

/** Returns the exit code: 1 when one of the volumes could not be detached. */
export async function detach(context: CommandContext, { json, names, force }: DetachOptions): Promise<number> {
  const result = await context.call('detach', { names, force });
  if (json) printJson(context, result);
  if (result.outcomes.length === 0) context.note('No volume is attached: see rsconfig -l');
  return printOutcomes(context, result.outcomes, json ? null : 'detached');
}

function printOutcomes(context: CommandContext, outcomes: readonly AttachOutcome[], done: 'attached' | 'detached' | null): number {
  for (const outcome of outcomes) {
    if (outcome.done) {
      if (done !== null) context.out(formatOutcome(outcome, done));
    } else {
      const { code, message } = outcome.error ?? { code: 'E_INTERNAL', message: 'rsiod refused without saying why: look at its log' };
      context.report(code, `${outcome.volume}: ${message}`);
    }
  }
  return outcomes.every((outcome) => outcome.done) ? 0 : 1;
}
