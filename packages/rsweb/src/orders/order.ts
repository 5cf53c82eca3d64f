// What an order is: a form of a page that becomes one request to a daemon of this machine. order-table.ts has all orders, desk.ts takes them.
// Invariant: an order is checked against the picture before a daemon is asked, and the daemon checks it again.

import type { Picture } from '../model/picture.ts';

/** What an order asks of a daemon. */
export interface Work {
  /** Such as `volume oracle@0`. */
  readonly object: string;
  /** What it does, for the log and the page, such as `Volume oracle@0 is removed`. */
  readonly done: string;
  /** Page that shows the outcome. */
  readonly href: string;
  run(by: string): Promise<void>;
}

export interface OrderKind {
  /** What is asked before, such as `Remove`; null: it needs no confirmation. */
  readonly confirm: { readonly verb: string; readonly consequence: string } | null;
  /** What it acts upon, and how. Throws E_USAGE or E_UNKNOWN_VOLUME if a field is wrong. */
  prepare(fields: Fields, picture: Picture): Work;
}

/** The fields of a form. */
export interface Fields {
  /** The trimmed value; '' if it is missing. */
  get(name: string): string;
}
