// -a --wait and -d --wait: asks again for the volumes that were refused for a reason that can pass, until none is left or the time is over.
// Waiting itself is waiting.ts. Invariants: what was done keeps its first outcome; the outcomes stand in the order of the first answer.

import type { AttachOutcome } from '@rsio/common/control/methods';
import { RsError } from '@rsio/common/lib/errors';
import { type Look, type Waited, waitedSentence, waitUntil } from '../../cli/waiting.ts';
import type { CommandContext } from '../../cli/command-context.ts';
import { serversAway } from './servers-away.ts';

export interface Rounded {
  readonly outcomes: readonly AttachOutcome[];
  /** Nothing is left that was waited for. */
  readonly isDone: boolean;
}

type Ask = (names: readonly string[]) => Promise<readonly AttachOutcome[]>;

const ATTACH_CAN_PASS: readonly string[] = ['E_NO_PATH', 'E_UNKNOWN_VOLUME', 'E_TIMEOUT', 'E_HELD'];
const DETACH_CAN_PASS: readonly string[] = ['E_NO_PATH', 'E_IN_USE', 'E_TIMEOUT'];

/** Without names, all that the servers offer when every one of them is in reach. `server`: only that one is meant; null: all are. */
export async function attachWaiting(
  context: CommandContext,
  limitMs: number,
  { names, server }: { readonly names: readonly string[]; readonly server: string | null },
  attach: Ask,
): Promise<Rounded> {
  const round = new Rounds(names, attach, ATTACH_CAN_PASS);
  const waited = await waitUntil(context, limitMs, async () => {
    const missing = names.length > 0 ? [] : (await serversAway(context, server)).map(({ sentence }) => sentence);
    const { value, waitsFor } = await round.next(missing.length > 0);
    return { value, waitsFor: [...missing, ...waitsFor] };
  });
  return outcomesOf(context, limitMs, waited, 'what was attached stays attached, rsconfig -l shows it');
}

export async function detachWaiting(context: CommandContext, limitMs: number, names: readonly string[], detach: Ask): Promise<Rounded> {
  const round = new Rounds(names, detach, DETACH_CAN_PASS);
  const waited = await waitUntil(context, limitMs, () => round.next(false));
  return outcomesOf(context, limitMs, waited, 'what was detached stays detached, rsconfig -l shows the rest');
}

/** What was asked for, and what came of it so far. */
class Rounds {
  private readonly ask: Ask;
  private readonly canPass: readonly string[];
  /** Name asked for -> its outcome; null: not asked yet. */
  private outcomes: Map<string, AttachOutcome | null>;
  private isWhole: boolean;

  constructor(names: readonly string[], ask: Ask, canPass: readonly string[]) {
    this.ask = ask;
    this.canPass = canPass;
    this.outcomes = new Map(names.map((name) => [name, null]));
    this.isWhole = names.length === 0;
  }

  /** `isGrowing`: without names, more may be offered the next time. */
  async next(isGrowing: boolean): Promise<Look<readonly AttachOutcome[]>> {
    if (this.isWhole) {
      for (const outcome of await this.ask([]))
        if (this.outcomes.get(outcome.volume)?.done !== true) this.outcomes.set(outcome.volume, outcome);
      this.isWhole = isGrowing;
    } else {
      const left = [...this.outcomes].flatMap(([name, outcome]) => (outcome === null || this.mayPass(outcome) ? [name] : []));
      const answers = await this.ask(left);
      for (const [at, name] of left.entries()) this.outcomes.set(name, answers[at] ?? null);
    }
    const value = [...this.outcomes.values()].filter((outcome) => outcome !== null);
    return { value, waitsFor: value.filter((outcome) => this.mayPass(outcome)).map(({ volume, error }) => `${volume}: ${error?.message}`) };
  }

  private mayPass({ error }: AttachOutcome): boolean {
    return error !== null && this.canPass.includes(error.code);
  }
}

function outcomesOf(context: CommandContext, limitMs: number, { how, last }: Waited<readonly AttachOutcome[]>, kept: string): Rounded {
  if (how === 'done') return { outcomes: last?.value ?? [], isDone: true };
  const sentence = waitedSentence(how, limitMs, kept);
  if (last === null) throw new RsError('E_TIMEOUT', `rsiod is still working on it: ${sentence}`);
  context.note(sentence);
  return { outcomes: last.value, isDone: false };
}
