// Ports of production objects in the worlds of farms, which have only a part of a server. Invariant: each port of the product is named here
// or in the world, so that the compiler reports a new port, and not only a world that uses it.

/** A part of a server that no world of a farm has. Each use of it is an error. */
export const ABSENT: unknown = null;

/** The stand-ins have only the members that the object uses in these worlds, so that their types are not checked. */
export function portsOf<P>(ports: { readonly [K in keyof P]: unknown }): P {
  return ports as P;
}
