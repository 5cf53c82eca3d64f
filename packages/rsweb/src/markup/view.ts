// The data that a page needs besides the picture: the visitor, the time, the address, the outcome of an order. app.ts makes the view.
// Invariant: the view contains no secrets of other visitors.

import type { Role } from '../config/rights.ts';
import type { HistoryView } from '../model/history.ts';

export interface View {
  readonly nowMs: number;
  /** Address of the page without its query, such as /volume/ID. */
  readonly path: string;
  /** Name of the visitor's token. */
  readonly token: string;
  /** True if the visitor may give orders. */
  readonly mayManage: boolean;
  /** Returns true if the visitor may give the order, such as `volume-create`. */
  readonly mayOrder: (order: string) => boolean;
  /** Returns true if the visitor may call operations that need the role. */
  readonly mayCall: (needs: Role) => boolean;
  /** Value of the hidden field `csrf` of every form. */
  readonly csrf: string;
  /** Text about the outcome of the last order; null if there is none. */
  readonly notice: string | null;
  readonly history: HistoryView;
  readonly query: URLSearchParams;
}
