// Builds the list pages of the server (a table of objects, each with the commands of Enter and F8) and the pages of single objects. Pure.
// Invariants: a state is shown as a sign and a word, so that it is readable without colours. The rows are made again only if the objects,
// the filter or the width have changed.

import { plural } from '@rsio/base/lib/units';
import { pageOf } from '../../machine/machine.ts';
import { choiceRow, EMPTY_ROW, headingRow, type HelpText, textRow, type Tone } from '../../machine/rows.ts';
import { rowColumns } from '../../widgets/border.ts';
import { type ColumnSpec, type Table, tableOf } from '../../widgets/table.ts';
import { type ServerChoice, type ServerCommand, type ServerPage, type ServerRow, type ServerState } from '../model/state.ts';
import { ASK_AGAIN, troubleRows } from './rows.ts';

export interface List<T> {
  readonly id: string;
  readonly title: string;
  /** Returns the objects of the list; null while they are unknown. */
  items(state: ServerState): readonly T[] | null;
  /** Returns the rows that are shown while the objects are unknown. */
  readonly unknown: (state: ServerState, room: number) => readonly ServerRow[];
  /** The text that is shown if the list has no objects. */
  readonly none: string;
  readonly columns: readonly ColumnSpec[];
  /** `sign` precedes the text of the first cell; it is empty if `tone` is null. */
  readonly cells: (item: T, sign: string) => readonly string[];
  readonly tone: ((item: T) => Tone | null) | null;
  row(item: T): { readonly id: string; readonly command: ServerCommand; readonly remove: ServerCommand | null };
  /** Returns the text of an object that is matched against typed text; null if the page ignores typed text. */
  readonly text: ((item: T) => string) | null;
  /** The noun for the number of objects in the title, such as `volume`; null if the title shows no number. */
  readonly noun: string | null;
  /** The choice that adds an object: the last line of the page, and the first action. Null if nothing can be added. */
  readonly add: ServerChoice | null;
  readonly actions?: (state: ServerState) => readonly ServerChoice[];
  hint(count: number): string;
  readonly help: string;
}

interface Rows {
  readonly heading: string;
  readonly rows: readonly ServerRow[];
}

export function listPage<T>(list: List<T>): ServerPage {
  const { id, title, noun, add, text } = list;
  const rowsOf = remembered(list);
  const content: ServerPage['content'] = (state, filter) => {
    const room = rowColumns(state.size);
    const items = list.items(state);
    const { heading, rows } = rowsOf(items ?? [], filter, room);
    const count = items?.length ?? 0;
    const counted = noun === null ? '' : filter === '' ? plural(count, noun) : `${rows.length} of ${plural(count, noun)}`;
    const none = noun === null || count === 0 ? list.none : `No ${noun} with ${filter}`;
    const listed = rows.length === 0 ? [textRow(none)] : [headingRow(heading), ...rows];
    return {
      title: items === null || noun === null ? title : `${title}: ${counted}`,
      rows: [
        ...troubleRows(state),
        ...(items === null ? list.unknown(state, room) : listed),
        ...(add === null ? [] : [choiceRow<ServerCommand>(add)]),
      ],
      actions: [...(add === null ? [] : [add]), ...(list.actions?.(state) ?? []), ASK_AGAIN],
      hint: noun === null || filter === '' ? list.hint(rows.length) : `Only with: ${filter}   Esc shows all`,
      help: { title, text: list.help },
    };
  };
  return { ...pageOf(id, content), filter: text === null ? null : '' };
}

/**
 * Returns a function that makes the rows and remembers the last result. The list may have 10,000 volumes, and after a key that only moves
 * the focus, the page needs the same rows again.
 */
function remembered<T>(list: List<T>): (items: readonly T[], filter: string, room: number) => Rows {
  let last: (Rows & { readonly items: readonly T[]; readonly filter: string; readonly room: number }) | null = null;
  return (items, filter, room) => {
    if (last?.items === items && last.filter === filter && last.room === room) return last;
    const wanted = filter.toLowerCase();
    const shown = filter === '' ? items : items.filter((item) => list.text?.(item).toLowerCase().includes(wanted));
    const { heading, lines } = listTable(list, shown, room);
    const rows = shown.map((item, index): ServerRow => {
      const { id, command, remove } = list.row(item);
      return { lines: [lines[index] ?? ''], command, remove, id, tone: list.tone?.(item) ?? null };
    });
    last = { heading, rows, items, filter, room };
    return last;
  };
}

export function listTable<T>({ columns, cells, tone }: List<T>, items: readonly T[], room: number): Table {
  const rows = items.map((item) => cells(item, tone === null ? '' : `${signOf(tone(item))} `));
  return tableOf(columns, rows, room);
}

function signOf(tone: Tone | null): string {
  return tone === null ? '-' : tone === 'ok' ? '+' : '!';
}

/** The content of the page of one object. */
export interface ObjectView {
  readonly title: string;
  readonly details: readonly ServerRow[];
  /** The lines whose commands change the object. On each of these lines, F8 removes the object. */
  readonly changes: readonly ServerChoice[];
  readonly remove: ServerCommand;
  readonly below?: readonly ServerRow[];
  readonly hint: string;
  readonly help: HelpText;
}

export function objectPage(id: string, viewOf: (state: ServerState) => ObjectView): ServerPage {
  return pageOf(id, (state) => {
    const { title, details, changes, remove, below = [], hint, help } = viewOf(state);
    const rows = changes.map((change) => ({ ...choiceRow(change), remove }));
    return { title, rows: [...troubleRows(state), ...details, EMPTY_ROW, ...rows, ...below], actions: [...changes, ASK_AGAIN], hint, help };
  });
}
