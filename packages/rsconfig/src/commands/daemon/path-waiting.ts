// --wait of `-m status`, `reload` and `join`: until the paths are up, or the time is over. Waiting itself is waiting.ts.
// Invariant: a path that is not up in the end is named on stderr.

import type { StatusView } from '@rsio/common/control/methods';
import { type Look, waitedSentence, waitUntil } from '../../cli/waiting.ts';
import type { CommandContext } from '../../cli/command-context.ts';

/** True when every path is up within the time. */
export async function pathsUp(context: CommandContext, limitMs: number): Promise<boolean> {
  const look = async (): Promise<Look<null>> => ({ value: null, waitsFor: pathsMissing(await context.call('status', {})) });
  const { how, last } = await waitUntil(context, limitMs, look);
  if (how === 'done') return true;
  context.note(waitedSentence(how, limitMs, 'rsiod keeps trying'));
  for (const missing of last?.waitsFor ?? []) context.note(missing);
  return false;
}

export function pathsMissing({ interfaces }: Pick<StatusView, 'interfaces'>): string[] {
  return interfaces.flatMap(({ name, reps }) =>
    reps.flatMap(({ address, port, state }) => (state === 'up' ? [] : [`path ${name} -> ${address}/${port} is ${state}`])),
  );
}
