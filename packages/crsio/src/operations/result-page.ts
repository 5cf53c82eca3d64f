// The page with the answer to an operation. Pure. Invariants: a table that is wider than the page becomes a block of lines for each row, so
// that nothing is cut; the number of rows is bounded, and the page says how many are left out.

import { type ResultPart, resultView } from '@rsio/api/views/result-view';
import { type ListPage, type Machine, pageOf } from '../machine/machine.ts';
import { EMPTY_ROW, headingRow, type Row, textRow } from '../machine/rows.ts';
import { rowColumns } from '../widgets/border.ts';
import { RESULT_ROWS_MAX } from '../widgets/limits.ts';
import { tableOf } from '../widgets/table.ts';
import { textWidth } from '../widgets/text-width.ts';

const GAP_COLUMNS = 2;

export function resultPage<S extends Machine<S>>(name: string, answer: object): ListPage<S> {
  const parts = resultView(answer);
  return pageOf(`answer ${name}`, ({ size }) => ({
    title: `Answer to ${name}`,
    rows: parts.length === 0 ? [textRow('Done')] : bounded(parts, (part) => partRows(part, rowColumns(size))),
    actions: null,
    hint: 'Up and Down scroll, Esc goes back',
    help: { title: name, text: 'Up, Down, PageUp and PageDown scroll, Esc goes back to the operations.' },
  }));
}

function partRows(part: ResultPart, room: number): Row<never>[] {
  const heading = part.title === '' ? [] : [headingRow(part.title)];
  const rows = part.kind === 'facts' ? bounded(part.facts, ([name, text]) => [textRow(`${name}: ${text}`)]) : tableRows(part, room);
  return [...heading, ...rows, EMPTY_ROW];
}

function tableRows({ columns, rows }: Extract<ResultPart, { kind: 'table' }>, room: number): Row<never>[] {
  const widths = columns.map((name, column) => rows.reduce((most, row) => Math.max(most, textWidth(row[column] ?? '')), textWidth(name)));
  if (widths.reduce((sum, width) => sum + width + GAP_COLUMNS, -GAP_COLUMNS) > room)
    return bounded(rows, (row) => [...columns.map((name, column) => textRow(`${name}: ${row[column] ?? '-'}`)), EMPTY_ROW]);
  const specs = columns.map((heading) => ({ heading }));
  const { heading, lines } = tableOf(specs, rows, room);
  return [textRow(heading), ...bounded(lines, (line) => [textRow(line)])];
}

function bounded<T>(list: readonly T[], rowsOf: (one: T) => Row<never>[]): Row<never>[] {
  const rows = list.slice(0, RESULT_ROWS_MAX).flatMap(rowsOf);
  return list.length <= RESULT_ROWS_MAX ? rows : [...rows, textRow(`... and ${list.length - RESULT_ROWS_MAX} more`)];
}
