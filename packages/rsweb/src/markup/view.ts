// What a page is given beside the picture: the visitor, the moment, the address, the outcome of an order. The routes make it.
// Invariant: it has nothing that one visitor may not know of another.

import type { HistoryView } from '../model/history.ts';

export interface View {
  readonly nowMs: number;
  /** Address of the page without its query, such as /volume/ID. */
  readonly path: string;
  /** Name of the token that is logged in. */
  readonly token: string;
  readonly mayManage: boolean;
  /** Value of the hidden field `csrf` of every form. */
  readonly csrf: string;
  /** Outcome of the last order; null: there is none. */
  readonly notice: string | null;
  readonly history: HistoryView;
  readonly query: URLSearchParams;
}
