// The page with all operations of rsiod and rsapp. Invariant: they change what runs, and never the edited file.

import { APP_METHODS } from '@rsio/api/rsapp/app-methods';
import type { ClientMethod } from '@rsio/api/rsiod/client-method';
import { CONTROL_METHODS } from '@rsio/api/rsiod/methods';
import { request, step } from '../../machine/machine.ts';
import { operationsOf, operationsPage } from '../../operations/operations-page.ts';
import { OPERATIONS_HELP } from '../model/help-text.ts';
import type { ClientState } from '../model/state.ts';
import { failed } from '../work/rsiod.ts';

const isRead = ({ effect }: Pick<ClientMethod, 'effect'>): boolean => effect === 'reads';

export const OPERATIONS_PAGE = operationsPage<ClientState>({
  program: 'rsiod',
  help: OPERATIONS_HELP,
  operations: [
    ...operationsOf<ClientState, ClientMethod>(CONTROL_METHODS, isRead, ({ ports }, method, params) => ports.call(method, params)),
    ...operationsOf<ClientState, ClientMethod>(APP_METHODS, isRead, ({ ports }, method, params) => ports.callApp(method, params), 'rsapp '),
  ],
  newId: ({ ports }) => ports.newId(),
  send: (state, { doing, send, show }) => {
    const effect = request<ClientState, object>(send, (answer) => (now) => step(show(now, answer)), failed(`Not done: ${doing}`));
    return step({ ...state, note: `${doing} ...` }, effect);
  },
});
