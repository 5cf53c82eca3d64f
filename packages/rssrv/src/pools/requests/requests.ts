// Executes each changing request once, even if it arrives several times (C4): a repeated request joins the execution that is in progress,
// or gets the answer that is in the journal. Invariants: an answer is sent only after the journal has it. An id belongs to one asker and
// one set of parameters. A change begins only if an asker is still waiting for its answer. Rules: A2, A3.

import { assert } from '@rsio/base/lib/assert';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { type ErrorCode, RsError, toRsError } from '@rsio/base/lib/errors';
import type { Journal, JournalEntry } from './journal.ts';
import { JOURNAL_ANSWER_MAX_BYTES, JOURNAL_HOLD_MS } from '../limits.ts';
import { type AskedRequest, checkSameParams, keyOf, stampOf } from './request-stamp.ts';
import type { Turn } from './turn.ts';

/** An asker that waits for an answer. */
export interface Waiter {
  /** Monotonic time until which the asker waits. */
  readonly untilMs: number;
  /** Returns false if the connection of the asker has ended. */
  isThere(): boolean;
}

export const LOCAL_WAITER: Waiter = { untilMs: Number.POSITIVE_INFINITY, isThere: () => true };

/** The queue of changes. */
export interface Changes {
  /**
   * Executes a change in its turn. `what`: text about the change and its asker. The server shows this text to other askers while they wait
   * for their turn.
   */
  run<T>(change: (turn: Turn) => Promise<T>, what?: string): Promise<T>;
  /**
   * Throws if no asker is still waiting, or if the asker has lost its rights. Called before work that precedes the turn, such as programs
   * of triggers.
   */
  checkWanted(): void;
}

/** Errors after which the change may have been made. For example, E_POOL may occur after the commit point. */
const OPEN_OUTCOMES: readonly ErrorCode[] = ['E_POOL', 'E_TIMEOUT', 'E_SHUTTING_DOWN'];
/**
 * Refusals after which the same request may be repeated, because nothing was changed. The asker was told to try again, or is no longer
 * connected.
 */
const PASSING_REFUSALS: readonly ErrorCode[] = ['E_BUSY', 'E_NO_SESSION'];

interface Outcome {
  readonly result?: unknown;
  readonly error?: { readonly code: ErrorCode; readonly message: string; readonly context: Readonly<Record<string, unknown>> };
}

/** One request in progress. */
export class Execution {
  readonly stamp: string;
  readonly waiters: Waiter[] = [];
  /** Resolves when the journal has the answer, or when the request has ended without an answer to keep. */
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

  /** Must be called when the turn of the change has come. Throws if no asker is still waiting; the change must then not be made. */
  begin(): void {
    if (this.hasBegun) return;
    this.checkWanted();
    this.hasBegun = true;
  }

  /** Throws if no asker is still waiting. */
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

  /**
   * Executes the request, unless it was executed before. Throws the errors of `work`, E_USAGE if the id was used with other
   * parameters, and E_SYSTEM if the journal cannot be written.
   */
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
    const key = keyOf(stamp);
    assert(!this.running.has(key), 'A request is executed twice at once');
    this.running.set(key, execution);
    execution.outcome = this.run(execution, work).finally(() => {
      assert(this.running.get(key) === execution, 'A request ends that does not run');
      this.running.delete(key);
      execution.settle();
    });
    return execution.outcome;
  }

  private async run(execution: Execution, work: (execution: Execution) => Promise<unknown>): Promise<unknown> {
    // If the journal cannot be written, this throws and refuses the change, because a crash would lose the answer of the change.
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
 * Returns the queue of changes for one request. The change begins only if an asker is still waiting and `check` does not throw. The next
 * change begins only when the journal contains this change (or after JOURNAL_HOLD_MS), so that a crash does not lose the answer of this
 * change after a later change was made.
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

/**
 * Returns a turn that checks, before work in `aside`, that an asker is still waiting. This work is long, and precedes the commit point, so
 * that the change can still be abandoned.
 */
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
 * Returns false if a repeated request must be executed again after this error. The result is false if the outcome of the error is
 * unknown, because the repetition finds the outcome on the disk. The result is also false for a refusal that says to try again,
 * because nothing was changed.
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

/**
 * Returns the answer in a journal entry. The first answer is also read from the text of its entry, so that repeated answers are equal
 * to the first.
 */
function read({ answer }: JournalEntry): unknown {
  const { result, error } = JSON.parse(answer) as Outcome;
  if (error !== undefined) throw new RsError(error.code, error.message, error.context);
  return result;
}
