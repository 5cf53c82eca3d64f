// Returns the page of the current screen of the server's part. server-view.ts draws it.
// Pure. Invariant: every screen has exactly one page.

import { type ServerState, topOf } from '../model/state.ts';
import { clientPage, clientsPage } from './clients-page.ts';
import { dialogPage } from './dialog-page.ts';
import { interfacesPage } from './interfaces-page.ts';
import { menuPage } from './menu-page.ts';
import { poolPage, poolsPage } from './pools-page.ts';
import type { ServerPage } from './server-page.ts';
import { statusPage } from './status-page.ts';
import { volumePage } from './volume-page.ts';
import { removedPage, volumesPage } from './volumes-page.ts';

export function serverPageOf(state: ServerState): ServerPage {
  const screen = topOf(state);
  switch (screen.kind) {
    case 'menu':
      return menuPage(state);
    case 'status':
      return statusPage(state);
    case 'interfaces':
      return interfacesPage(state);
    case 'pools':
      return poolsPage(state);
    case 'pool':
      return poolPage(state, screen);
    case 'clients':
      return clientsPage(state, screen);
    case 'client':
      return clientPage(state, screen);
    case 'volumes':
      return volumesPage(state, screen);
    case 'removed':
      return removedPage(state, screen);
    case 'volume':
      return volumePage(state, screen);
    case 'form':
      return dialogPage(screen);
  }
}
