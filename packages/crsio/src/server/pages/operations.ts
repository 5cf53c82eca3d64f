// The page with all operations of rssrv. Invariant: each of them is an order, so that crsio shows as long as it is in progress, and asks before
// it leaves meanwhile.

import { SERVER_METHODS } from '@rsio/api/rssrv/server-methods';
import { operationsOf, operationsPage } from '../../operations/operations-page.ts';
import { OPERATIONS_HELP } from '../model/help-text.ts';
import type { ServerState } from '../model/state.ts';
import { started } from '../work/ordering.ts';

export const OPERATIONS_PAGE = operationsPage<ServerState>({
  program: 'rssrv',
  help: OPERATIONS_HELP,
  operations: operationsOf(
    SERVER_METHODS,
    ({ repeats }) => repeats === null,
    ({ ports }, method, params) => ports.call(method, params, null),
  ),
  newId: ({ ports }) => ports.newId(),
  send: (state, { doing, owner, send, show }) => {
    const make = async () => {
      const answer = await send();
      return { show: (now: ServerState) => show(now, answer) };
    };
    return started(state, { doing, make }, owner);
  },
});
