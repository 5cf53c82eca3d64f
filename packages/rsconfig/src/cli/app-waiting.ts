// Says why an order for applications still waits, while rsapp carries it out. Invariant: a reason that rsapp knows is printed within
// APP_WHY_POLL_MS, and again every APP_WHY_AGAIN_MS while it lasts; the answer of rsapp alone decides how the order ends.

import type { AppMethods, ApplicationView } from '@rsio/api/rsapp/app-methods';
import { escapeControls } from '@rsio/base/lib/printable';
import { APP_WHY_AGAIN_MS, APP_WHY_POLL_MS } from '../limits.ts';
import type { CommandContext } from './context.ts';

/** `concerns`: whether the order waits for this application. `node`: the name of this node. */
export async function appOrdered<M extends 'app-order' | 'drain'>(
  context: Pick<CommandContext, 'callApp' | 'clock' | 'note'>,
  method: M,
  params: AppMethods[M]['params'],
  concerns: (application: ApplicationView, node: string) => boolean,
): Promise<AppMethods[M]['result']> {
  const { clock } = context;
  let isOver = false;
  let said = '';
  let saidMs = 0;
  const look = async (): Promise<void> => {
    const { node, applications } = await context.callApp('applications', {});
    const waits = applications.filter((one) => one.why !== '' && concerns(one, node)).map(({ name, why }) => `${name}: ${why}`);
    const text = escapeControls(waits.join('; '));
    if (isOver || text === '' || (text === said && clock.monotonicMs() - saidMs < APP_WHY_AGAIN_MS)) return;
    [said, saidMs] = [text, clock.monotonicMs()];
    context.note(`Waiting for ${text}`);
  };
  const again = (): void => {
    if (isOver) return;
    // rsapp may be busy, or may end; then the order itself gets the error.
    const looked = look().catch(() => undefined);
    timer = clock.after(APP_WHY_POLL_MS, () => void looked.then(again));
  };
  let timer = clock.after(APP_WHY_POLL_MS, again);
  try {
    return await context.callApp(method, params);
  } finally {
    isOver = true;
    timer.cancel();
  }
}
