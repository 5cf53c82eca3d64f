// A change of the server (order) as a value: what crsio says of it, and how it is made. work/ has the orders. Invariant: an order refers to
// objects by their names, never by a position on the screen.

import type { ServerPorts } from './ports.ts';

/** `S`: the state of the server's part. */
export interface Order<S> {
  /** What crsio says while rssrv makes the change, such as `Creating volume db@0`. */
  readonly doing: string;
  /** Throws the errors of rssrv and of the file. */
  make(ports: ServerPorts): Promise<Outcome>;
  /** The id of the page of the object that the change removes. */
  readonly removes?: string;
  /** The state after the form of the change has closed; absent: unchanged. */
  readonly follow?: (state: S) => S;
}

/** The outcome of a change: a sentence or, with it, a text that the user must see, such as a new key. */
export type Outcome = string | { readonly sentence: string; readonly title: string; readonly text: string };
