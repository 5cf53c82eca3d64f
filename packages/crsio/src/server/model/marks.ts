// A list of clients in which the user marks those that may attach a volume, as a popup. Pure. Invariant: either all clients are marked as a
// whole, or single clients are.

import type { ClientView } from '@rsio/common/control/server/views';
import type { Popup } from '../../machine/machine.ts';
import type { ServerCommand } from './state.ts';

const ALL = 'all';

interface Entry {
  readonly name: string;
  readonly detail: string;
  readonly isMarked: boolean;
}

/**
 * `marked`: the clients that are marked at first; null for all clients; undefined for none. `take` gets the names, such as `big-2,venus`.
 */
export function marksPopup(
  clients: readonly ClientView[],
  marked: readonly string[] | null | undefined,
  take: (names: string) => ServerCommand,
): Popup<ServerCommand> {
  // A volume may name clients that [clients] does not list.
  const strangers = (marked ?? []).filter((name) => !clients.some((client) => client.name === name));
  const entries = [
    ...clients.map(({ name, state }) => ({ name, detail: state })),
    ...strangers.map((name) => ({ name, detail: 'not in [clients]' })),
  ].map((each) => ({ ...each, isMarked: marked?.includes(each.name) ?? false }));
  // The first client has the focus, because an empty field means all clients anyway.
  const focus = entries.length > 0 ? 1 : 0;
  return popupOf([{ name: ALL, detail: 'every client, also new ones', isMarked: marked === null }, ...entries], focus, take);
}

function popupOf(entries: readonly Entry[], focus: number, take: (names: string) => ServerCommand): Popup<ServerCommand> {
  const width = Math.max(...entries.map(({ name }) => name.length));
  const choices = entries.map(({ name, detail, isMarked }, index) => ({
    label: `[${isMarked ? 'x' : ' '}] ${name.padEnd(width)}  ${detail}`,
    command: take(namesOf(entries, index)),
  }));
  const mark = (index: number): Popup<ServerCommand> => popupOf(toggled(entries, index), index, take);
  return { title: 'Clients', text: 'Space marks a client, Enter takes the marked ones', choices, focus, mark };
}

function toggled(entries: readonly Entry[], index: number): readonly Entry[] {
  return entries.map((entry, at) => {
    if (at === index) return { ...entry, isMarked: !entry.isMarked };
    // `all` excludes the single clients.
    return index === 0 || at === 0 ? { ...entry, isMarked: false } : entry;
  });
}

/** If no client is marked, the one with the focus counts as marked. */
function namesOf(entries: readonly Entry[], focus: number): string {
  const marked = entries.filter(({ isMarked }) => isMarked);
  const taken = marked.length === 0 ? entries.slice(focus, focus + 1) : marked;
  return taken.map(({ name }) => name).join(',');
}
