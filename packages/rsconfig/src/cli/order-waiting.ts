// Implements --wait for the commands about servers' volumes: repeats an order that was refused for a temporary reason, such as a server
// that is restarting. Invariant: a repeated order has the same ids, so that a server that has already executed the order only repeats its
// answer.

import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { CommandContext } from './context.ts';
import { unfinishedMessage, waitUntil } from './waiting.ts';

/**
 * Errors whose cause may soon be gone: the errors after which `-a --wait` tries again, and the errors of a server or an rsiod that is busy,
 * stopping or starting.
 */
const CAN_PASS: readonly string[] = [
  ...['E_NO_PATH', 'E_UNKNOWN_VOLUME', 'E_TIMEOUT', 'E_HELD'],
  ...['E_BUSY', 'E_UNREACHABLE', 'E_SHUTTING_DOWN', 'E_NOT_RUNNING', 'E_RESET'],
];

type Tried<T> = RsError | { readonly done: T };

/**
 * Executes the order, and repeats it for up to `waitMs`. `waitMs` is null without --wait. Throws the error of the last attempt when this
 * time is over.
 */
export async function ordered<T>(
  context: CommandContext,
  waitMs: number | null,
  order: (context: CommandContext) => Promise<T>,
): Promise<T> {
  if (waitMs === null) return await order(context);
  const ids: string[] = [];
  const { how, last } = await waitUntil<Tried<T>>(context, waitMs, async () => {
    let used = 0;
    const newId = (): string => (ids[used++] ??= context.newId());
    try {
      return { value: { done: await order({ ...context, newId }) }, waitsFor: [] };
    } catch (thrown) {
      const error = toRsError(thrown);
      if (!CAN_PASS.includes(error.code)) throw error;
      return { value: error, waitsFor: [error.message] };
    }
  });
  const tried = last?.value ?? null;
  if (tried !== null && !(tried instanceof RsError)) return tried.done;
  const sentence = unfinishedMessage(how === 'stopped' ? 'stopped' : 'late', waitMs, 'the order may still be executed');
  if (tried === null) throw new RsError('E_TIMEOUT', sentence);
  context.note(sentence);
  throw tried;
}
