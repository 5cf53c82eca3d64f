// Attaches a volume, a mirror or a snapshot for the duration of a command. Invariant: the command detaches everything that it has attached,
// or reports that it is still attached.

import type { AttachmentView } from '@rsio/common/control/methods';
import { type ErrorCode, ERRORS, RsError, toRsError } from '@rsio/common/lib/errors';
import { volumeLabel } from '@rsio/common/lib/volume-name';
import type { CommandContext } from '../../cli/context.ts';
import { RESTART_WAIT_MS, WAIT_POLL_MS } from '../../limits.ts';

/** Errors which mean that rsiod has exited and may be restarted. */
const RESTARTS: readonly string[] = ['E_NOT_RUNNING', 'E_RESET'];

/**
 * Attaches the volume, executes `work` and detaches the volume. With `isReadonly`, the volume may already be attached; in that case it
 * stays attached after the command. Without `isReadonly`, the volume must not be attached. `server`: the server from which the volume is
 * attached; null if any server may be used.
 */
export async function whileAttached<T>(
  context: CommandContext,
  name: string,
  { isReadonly, server }: { readonly isReadonly: boolean; readonly server: string | null },
  work: (view: AttachmentView) => Promise<T>,
): Promise<T> {
  const { outcomes } = await context.call('attach', { names: [name], readOnly: isReadonly, server, take: 'no' });
  const [outcome] = outcomes;
  if (outcome === undefined || outcome.error !== null) {
    const { code = '', message = `${name} could not be attached` } = outcome?.error ?? {};
    throw new RsError(Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : 'E_VOLUME', message);
  }
  if (outcome.already && !isReadonly)
    throw new RsError('E_IN_USE', `${outcome.volume} is attached here: detach it first (rsconfig -d ${outcome.volume})`);
  try {
    const { attachments } = await context.call('local', {});
    const view = attachments.find((one) => volumeLabel(one) === outcome.volume);
    if (view === undefined) throw new RsError('E_VOLUME', `${outcome.volume} was detached meanwhile: try again`);
    return await work(view);
  } finally {
    if (!outcome.already) await detach(context, outcome.volume);
  }
}

/**
 * Detaches the volume, even if rsiod restarts. Otherwise the restarted rsiod would attach the volume again, and the next command that
 * attaches it would be refused.
 */
async function detach(context: CommandContext, label: string): Promise<void> {
  const left = (why: string): void => context.note(`${label} is still attached: ${why}; rsconfig -d ${label} detaches it`);
  const untilMs = context.clock.monotonicMs() + RESTART_WAIT_MS;
  for (;;) {
    try {
      const [outcome] = (await context.call('detach', { names: [label], force: false })).outcomes;
      return outcome !== undefined && outcome.error !== null ? left(outcome.error.message) : undefined;
    } catch (thrown) {
      const error = toRsError(thrown);
      if (!RESTARTS.includes(error.code) || context.clock.monotonicMs() >= untilMs) return left(error.message);
      await new Promise<void>((resolve) => context.clock.after(WAIT_POLL_MS, resolve));
    }
  }
}
