// Types of orders. A visitor gives an order with a form, and rsweb sends it as one request to a daemon of this machine. The file
// order-table.ts defines all orders, and desk.ts takes them. Invariant: an order is checked against the picture before a daemon is asked,
// and the daemon checks the order again.

import type { LocalRole } from '@rsio/common/config/schema/local-roles';
import type { Role } from '../config/rights.ts';
import type { Picture } from '../model/picture.ts';

/** Who gives an order, for the daemon. */
export interface Giver {
  /** Names the token of the visitor. */
  readonly by: string;
  /** With which role rssrv executes it. */
  readonly role: LocalRole;
}

/** An order that has been checked and can be executed. */
export interface Work {
  /** A text such as `volume oracle@0`. */
  readonly object: string;
  /** Text about the effect, for the log and the page, such as `Volume oracle@0 is removed`. */
  readonly done: string;
  /** What follows from the order, if that depends on its object; absent: as the kind of the order says. */
  readonly consequence?: string;
  /** Path of the page that shows the outcome of the order. */
  readonly href: string;
  run(by: Giver): Promise<void>;
}

export interface OrderKind {
  /** The role that the method of the order needs. */
  readonly needs: Role;
  /**
   * The question that must be confirmed before the order is executed; null if the order needs no confirmation. `verb`: a word such as
   * `Remove`.
   */
  readonly confirm: { readonly verb: string; readonly consequence: string } | null;
  /** Checks the fields, and returns the work to do. Throws E_USAGE or E_UNKNOWN_VOLUME if a field is wrong. */
  prepare(fields: Fields, picture: Picture): Work;
}

/** The fields of a form. */
export interface Fields {
  /** Returns the trimmed value of a field; '' if the form does not contain the field. */
  get(name: string): string;
}
