// Types of orders. An order is a form on a page that becomes one request to a daemon of this machine. The file order-table.ts defines all
// orders, and desk.ts takes them. Invariant: an order is checked against the picture before a daemon is asked, and the daemon checks it
// again.

import type { Picture } from '../model/picture.ts';

/** The request to a daemon. */
export interface Work {
  /** A text such as `volume oracle@0`. */
  readonly object: string;
  /** Text about the effect, for the log and the page, such as `Volume oracle@0 is removed`. */
  readonly done: string;
  /** The page that shows the outcome. */
  readonly href: string;
  run(by: string): Promise<void>;
}

export interface OrderKind {
  /** The question before the execution; null if the order needs no confirmation. `verb`: such as `Remove`. */
  readonly confirm: { readonly verb: string; readonly consequence: string } | null;
  /** Makes the request. Throws E_USAGE or E_UNKNOWN_VOLUME if a field is wrong. */
  prepare(fields: Fields, picture: Picture): Work;
}

/** The fields of a form. */
export interface Fields {
  /** The trimmed value; '' if it is missing. */
  get(name: string): string;
}
