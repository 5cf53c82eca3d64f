// Returns the page of the current screen. For a form, the page supplies the title, the actions and the help, but no rows. frame.ts draws
// the page.

import { type State, topScreen } from '../model/state.ts';
import { differencePage } from './difference-page.ts';
import { formPage } from './form-page.ts';
import { foundPage, searchPage } from './found-page.ts';
import { interfacesPage } from './interfaces-page.ts';
import { menuPage } from './menu-page.ts';
import { namespacePage, namespacesPage } from './namespaces-page.ts';
import { mirrorsPage } from './mirrors-page.ts';
import type { Page } from './page.ts';
import { statusPage, testPage } from './status-page.ts';

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
    case 'mirrors':
      return mirrorsPage(state, screen);
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
