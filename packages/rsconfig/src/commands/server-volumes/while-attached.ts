// Attaches a volume, a mirror or a snapshot for the duration of a command. Invariant: rsiod knows the command as an owner of its own, so that
// it detaches only what nobody else has, and does so even if the command is killed. If rsiod could not detach it, the command says so.

import type { AttachmentView, AttachOutcome } from '@rsio/api/rsiod/methods';
import { type ErrorCode, ERRORS, RsError, toRsError } from '@rsio/base/lib/errors';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import type { CommandContext } from '../../cli/context.ts';

/** Errors which mean that rsiod has ended. The next rsiod closes by itself what only this command had attached. */
const ENDED: readonly string[] = ['E_NOT_RUNNING', 'E_RESET'];

export interface Use {
  /** `read`: beside others. `share`: read-write, beside others. `overwrite`: nobody else may have the volume attached here. */
  readonly as: 'read' | 'share' | 'overwrite';
  /** The server from which the volume is attached; null if any server may be used. */
  readonly server: string | null;
  /** The command, as others are told that it has the volume: `rsconfig restore`. */
  readonly what: string;
}

/** Attaches the volume, executes `work` and ends the use. Throws E_IN_USE if others have the volume, or will have it again, and exclude it. */
export async function whileAttached<T>(
  context: CommandContext,
  name: string,
  { as, server, what }: Use,
  work: (view: AttachmentView) => Promise<T>,
): Promise<T> {
  const order = { name, readOnly: as === 'read', alone: as === 'overwrite', server, what };
  const held = await context.hold('order-attach', order);
  try {
    const { outcome, ticket } = held.result;
    checkOutcome(outcome);
    try {
      const { attachments } = await context.call('local', { orders: true });
      const view = attachments.find((one) => volumeLabel(one) === outcome.volume);
      if (view === undefined) throw new RsError('E_VOLUME', `${outcome.volume} was detached meanwhile: try again`);
      return await work(view);
    } finally {
      await end(context, ticket, outcome.volume);
    }
  } finally {
    held.close();
  }
}

/** Throws the error of the outcome, if there is one. */
export function checkOutcome({ volume, error }: Pick<AttachOutcome, 'volume' | 'error'>): void {
  if (error === null) return;
  const { code, message } = error;
  throw new RsError(Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : 'E_VOLUME', message.replace(/^It /, `${volume} `));
}

async function end(context: CommandContext, ticket: string, label: string): Promise<void> {
  try {
    await context.call('order-detach', { ticket });
  } catch (thrown) {
    const { code, message } = toRsError(thrown);
    if (!ENDED.includes(code)) context.note(`${label} is still attached, and rsiod goes on trying to detach it: ${message}`);
  }
}
