// Executes each changing request once, however often it arrives (C4): a repeated request joins the one in progress, or gets the answer that
// the journal has. Invariants: an answer leaves when the journal has it; an id belongs to one asker and one set of parameters; nothing is
// begun for which no asker waits any more.

import type { Clock, Timer } from '@rsio/common/lib/clock';
import { type ErrorCode, RsError, toRsError } from '@rsio/common/lib/errors';
import type { Journal, JournalEntry } from './journal.ts';
import { JOURNAL_ANSWER_MAX_BYTES, JOURNAL_HOLD_MS } from './limits.ts';
import { type AskedRequest, checkSameParams, keyOf, stampOf } from './request-stamp.ts';
import type { Turn } from './turn.ts';

/** An asker that waits for an answer. */
export interface Waiter {
  /** Monotonic time until which it waits. */
  readonly untilMs: number;
  /** False if its connection has ended. */
  isThere(): boolean;
}

export const LOCAL_WAITER: Waiter = { untilMs: Number.POSITIVE_INFINITY, isThere: () => true };

/** The queue of changes, as the methods see it. */
export interface Changes {
  /** `what`: what is changed and who asked for it, for those who wait. */
  run<T>(change: (turn: Turn) => Promise<T>, what?: string): Promise<T>;
  /** For work before the turn of a change, such as the programs of triggers. Throws if no asker waits any more, or may ask any more. */
  checkWanted(): void;
}

/** E_POOL: a step on the disk of the pool failed, possibly after the commit point. */
const OPEN_OUTCOMES: readonly ErrorCode[] = ['E_POOL', 'E_TIMEOUT', 'E_SHUTTING_DOWN'];
/** Refusals that ask for the same request again, or that nobody has heard. Nothing was changed. */
const PASSING_REFUSALS: readonly ErrorCode[] = ['E_BUSY', 'E_NO_SESSION'];

interface Outcome {
  readonly result?: unknown;
  readonly error?: { readonly code: ErrorCode; readonly message: string; readonly context: Readonly<Record<string, unknown>> };
}

/** One request in progress. */
export class Execution {
  readonly stamp: string;
  readonly waiters: Waiter[] = [];
  /** Resolves when the journal has the answer, or when there is none. */
  readonly settled: Promise<void>;
  hasBegun = false;
  outcome: Promise<unknown> = Promise.resolve();
  settle: () => void = () => undefined;
  private readonly clock: Clock;

  constructor(stamp: string, clock: Clock) {
    this.stamp = stamp;
    this.clock = clock;
    this.settled = new Promise((resolve) => {
      this.settle = resolve;
    });
  }

  /** Called when the turn of the change has come. Throws if no asker waits any more; the change is then never made. */
  begin(): void {
    if (this.hasBegun) return;
    this.checkWanted();
    this.hasBegun = true;
  }

  /** Throws if no asker waits any more. */
  checkWanted(): void {
    const present = this.waiters.filter((waiter) => waiter.isThere());
    if (present.length === 0) throw new RsError('E_NO_SESSION', 'The client that asked for the change has gone: nothing was changed');
    if (present.every(({ untilMs }) => untilMs <= this.clock.monotonicMs()))
      throw new RsError('E_TIMEOUT', 'The client does not wait for the change any more: nothing was changed', { isOutcomeUnknown: false });
  }
}

export class Requests {
  private readonly journal: Journal;
  private readonly clock: Clock;
  private readonly running = new Map<string, Execution>();

  constructor(journal: Journal, clock: Clock) {
    this.journal = journal;
    this.clock = clock;
  }

  /** Executes the request, unless it was executed before. Throws what `work` throws, E_USAGE for a used id, and E_SYSTEM. */
  async execute(asked: AskedRequest, waiter: Waiter, work: (execution: Execution) => Promise<unknown>): Promise<unknown> {
    const stamp = stampOf(asked);
    const running = this.running.get(keyOf(stamp));
    if (running !== undefined) {
      checkSameParams(stamp, running.stamp);
      running.waiters.push(waiter);
      return running.outcome;
    }
    const known = this.journal.find(stamp);
    if (known === null) return this.begin(stamp, waiter, work);
    checkSameParams(stamp, known.stamp);
    await this.journal.save();
    return read(known);
  }

  private begin(stamp: string, waiter: Waiter, work: (execution: Execution) => Promise<unknown>): Promise<unknown> {
    const execution = new Execution(stamp, this.clock);
    execution.waiters.push(waiter);
    this.running.set(keyOf(stamp), execution);
    execution.outcome = this.run(execution, work).finally(() => {
      this.running.delete(keyOf(stamp));
      execution.settle();
    });
    return execution.outcome;
  }

  private async run(execution: Execution, work: (execution: Execution) => Promise<unknown>): Promise<unknown> {
    // Without a journal that can be written, no further change is made whose answer would then be forgotten.
    await this.journal.save();
    let outcome: Outcome;
    try {
      outcome = { result: await work(execution) };
    } catch (thrown) {
      const error = toRsError(thrown);
      if (!execution.hasBegun || !isFinal(error)) throw error;
      outcome = { error: { code: error.code, message: error.message, context: error.context } };
    }
    const entry = entryOf(execution.stamp, outcome);
    try {
      await this.journal.add(entry);
    } catch (thrown) {
      const made = outcome.error === undefined ? 'The change was made, and its answer could not be recorded' : outcome.error.message;
      throw new RsError('E_SYSTEM', `${made}: ${toRsError(thrown).message}`, { isOutcomeUnknown: outcome.error === undefined }, thrown);
    }
    return read(entry);
  }
}

/**
 * The queue of changes for one request: the change begins only if an asker still waits and `check` does not throw. The next change begins
 * when the journal has this one, so that a crash never leaves a later change without the answer of an earlier one.
 */
export function gated(changes: Changes, execution: Execution, check: () => void, clock: Clock): Changes {
  return {
    run: <T>(change: (turn: Turn) => Promise<T>, what?: string) =>
      new Promise<T>((resolve, reject) => {
        changes
          .run(async (turn) => {
            check();
            execution.begin();
            await change(wantedAside(turn, execution)).then(resolve, reject);
            await settledInTime(execution, clock);
          }, what)
          .catch(reject);
      }),
    checkWanted: () => {
      check();
      execution.checkWanted();
    },
  };
}

/** What is done aside comes before the commit point, takes long, and waits for its turn: nothing is copied for an asker that has gone. */
function wantedAside(turn: Turn, execution: Execution): Turn {
  return {
    aside: (work) =>
      turn.aside(() => {
        execution.checkWanted();
        return work();
      }),
  };
}

async function settledInTime({ settled }: Execution, clock: Clock): Promise<void> {
  let timer: Timer | null = null;
  const late = new Promise<void>((resolve) => {
    timer = clock.after(JOURNAL_HOLD_MS, resolve);
  });
  await Promise.race([settled, late]);
  (timer as Timer | null)?.cancel();
}

/**
 * False for an error after which only the disk tells whether the change was made: the repeated request then finds it out. False also for a
 * refusal that says to try again: the repeated request is then tried again.
 */
function isFinal({ kind, code }: RsError): boolean {
  return kind !== 'system' && kind !== 'internal' && !OPEN_OUTCOMES.includes(code) && !PASSING_REFUSALS.includes(code);
}

function entryOf(stamp: string, outcome: Outcome): JournalEntry {
  const answer = JSON.stringify(outcome);
  if (Buffer.byteLength(answer) <= JOURNAL_ANSWER_MAX_BYTES) return { stamp, answer };
  const message = 'The change was made, but its answer is too long: list the volumes to see it';
  const error: Outcome = { error: { code: 'E_LIMIT', message, context: { isOutcomeUnknown: false } } };
  return { stamp, answer: JSON.stringify(error) };
}

/** Every answer is read from its text, so that the first one and the repeated ones are the same. */
function read({ answer }: JournalEntry): unknown {
  const { result, error } = JSON.parse(answer) as Outcome;
  if (error !== undefined) throw new RsError(error.code, error.message, error.context);
  return result;
}
