// What a person does next with the file as it is: where the mark stands in the menu when one comes back to it. Pure.
// Leaves the words about it to the menu page.

import { configOf, isUnsaved, topScreen, type State, withTop } from '../model/state.ts';

/** Lines of the menu, in its order. */
export const MENU = { interfaces: 0, namespaces: 1, newNamespace: 2, defaults: 3, status: 4, save: 5, leave: 6 } as const;

/** The menu with its mark on what comes next; every other screen as it is. */
export function atNextStep(state: State): State {
  const screen = topScreen(state);
  return screen.kind === 'menu' ? withTop(state, { ...screen, focus: nextLine(state) }) : state;
}

function nextLine(state: State): number {
  const { interfaces, namespaces } = configOf(state);
  if (interfaces.length === 0) return MENU.interfaces;
  if (namespaces.length === 0) return MENU.newNamespace;
  if (namespaces.every(({ servers }) => servers.length === 0)) return MENU.namespaces;
  return isUnsaved(state) ? MENU.save : MENU.status;
}
