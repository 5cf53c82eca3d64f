// Makes tables that visitors sort with links, without scripts. Pure. Invariants: every table has a caption and headers with a scope; the
// sorted column has aria-sort; rows beyond ROWS_PER_PAGE are on further pages.

import { compareNames } from './lists.ts';
import { ROWS_PER_PAGE } from '../limits.ts';
import { type Html, html, type Part } from './html.ts';
import { sameWith } from './links.ts';
import type { View } from './view.ts';

export interface Column<T> {
  /** The name of the column in the query of a link that sorts the table. */
  readonly key: string;
  readonly title: string;
  /** True if the column is aligned to the right. */
  readonly isNumber?: boolean;
  /** Returns the value by which a row is sorted; rows with null come last. A column without `sortBy` cannot be sorted. */
  readonly sortBy?: (row: T) => string | number | null;
  readonly cell: (row: T) => Part;
}

export interface Table<T> {
  /**
   * The id of the table. The links in the headers use this id as the fragment. The id is also the query key whose value says how the table
   * is sorted.
   */
  readonly id: string;
  readonly caption: string;
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  readonly rowId: (row: T) => string;
  /** The text that is shown if the table has no rows. */
  readonly none: string;
}

/** Makes a table. The cells of the first column are the headers of their rows. */
export function tableOf<T>({ id, caption, columns, rows, rowId, none }: Table<T>, view: View): Html {
  if (rows.length === 0) return html`<p class="none" id="${id}">${none}</p>`;
  const wish = view.query.get(id) ?? '';
  const isDown = wish.startsWith('-');
  const sorted = columns.find(({ key, sortBy }) => sortBy !== undefined && key === wish.slice(isDown ? 1 : 0));
  const ordered = sorted?.sortBy === undefined ? rows : inOrder(rows, sorted.sortBy, isDown);
  const pages = Math.ceil(rows.length / ROWS_PER_PAGE);
  const page = Math.min(pages, Math.max(1, Math.floor(Number(view.query.get(`${id}-page`))) || 1));
  const shown = ordered.slice((page - 1) * ROWS_PER_PAGE, page * ROWS_PER_PAGE);
  const head = columns.map((column) => header(column, id, sorted === column ? (isDown ? 'descending' : 'ascending') : null, view));
  return html`<div class="scroll" id="${id}" role="group" aria-label="${caption}" tabindex="0"><table>
<caption>${caption}</caption><thead><tr>${head}</tr></thead>
<tbody>${shown.map((row) => html`<tr id="${id}-${rowId(row)}">${columns.map((column, place) => cellOf(column, row, place))}</tr>\n`)}</tbody></table></div>
${pages > 1 && pageLinks(id, caption, page, pages, view)}`;
}

function cellOf<T>({ cell, isNumber }: Column<T>, row: T, place: number): Html {
  if (place === 0) return html`<th scope="row">${cell(row)}</th>`;
  return isNumber === true ? html`<td class="number">${cell(row)}</td>` : html`<td>${cell(row)}</td>`;
}

function header<T>({ key, title, isNumber, sortBy }: Column<T>, id: string, order: 'ascending' | 'descending' | null, view: View): Html {
  const kind = isNumber === true ? html` class="number"` : '';
  if (sortBy === undefined) return html`<th scope="col"${kind}>${title}</th>`;
  // The first click on a header sorts numbers from the largest to the smallest, and names from A to Z.
  const isFirstDown = isNumber === true;
  const nextDown = order === null ? isFirstDown : order === 'ascending';
  const href = sameWith(view, { [id]: `${nextDown ? '-' : ''}${key}`, [`${id}-page`]: null }, id);
  const sign = order === null ? '' : html`<span aria-hidden="true"> ${order === 'ascending' ? '\u2191' : '\u2193'}</span>`;
  return html`<th scope="col"${kind}${order !== null && html` aria-sort="${order}"`}><a href="${href}">${title}${sign}</a></th>`;
}

function pageLinks(id: string, caption: string, page: number, pages: number, view: View): Html {
  const links = Array.from({ length: pages }, (_, index) => index + 1).map((number) =>
    number === page
      ? html`<span aria-current="page">${number}</span> `
      : html`<a href="${sameWith(view, { [`${id}-page`]: String(number) }, id)}">${number}</a> `,
  );
  return html`<nav class="pages" aria-label="Pages of the table ${caption}">Page ${links}</nav>`;
}

function inOrder<T>(rows: readonly T[], sortBy: (row: T) => string | number | null, isDown: boolean): T[] {
  const keyed = rows.map((row) => ({ row, value: sortBy(row) }));
  keyed.sort((a, b) => {
    if (a.value === null || b.value === null) return Number(a.value === null) - Number(b.value === null);
    const order =
      typeof a.value === 'number' && typeof b.value === 'number' ? a.value - b.value : compareNames(String(a.value), String(b.value));
    return isDown ? -order : order;
  });
  return keyed.map(({ row }) => row);
}
