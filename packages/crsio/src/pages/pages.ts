// The page of whatever shows: one entry for each kind of list screen. A form has one too, for its actions and its help.
// Leaves drawing to frame.ts.

import { topScreen, type State } from '../model/state.ts';
import { differencePage } from './difference-page.ts';
import { formPage } from './form-page.ts';
import { foundPage } from './found-page.ts';
import { interfacesPage } from './interfaces-page.ts';
import { menuPage } from './menu-page.ts';
import { namespacePage, namespacesPage } from './namespaces-page.ts';
import type { Page } from './page.ts';
import { searchPage } from './search-page.ts';
import { statusPage } from './status-page.ts';
import { testPage } from './test-page.ts';

export function pageOf(state: State): Page {
  const screen = topScreen(state);
  switch (screen.kind) {
    case 'menu':
      return menuPage(state);
    case 'interfaces':
      return interfacesPage(state);
    case 'namespaces':
      return namespacesPage(state);
    case 'namespace':
      return namespacePage(state, screen.name);
    case 'found':
      return foundPage(screen);
    case 'search':
      return searchPage(screen);
    case 'status':
      return statusPage(state, screen);
    case 'test':
      return testPage(screen);
    case 'difference':
      return differencePage(state, screen);
    case 'form':
      return formPage(screen);
  }
}
