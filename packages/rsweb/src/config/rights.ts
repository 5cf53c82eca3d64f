// What tokens permit. Pure. Invariant: this file alone decides whether a token may do something, for pages and for the HTTP interface.

import type { LocalRole } from '@rsio/common/config/schema/local-roles';

/** The roles of tokens. Each role includes the roles before it. */
export const ROLES = ['view', 'operate', 'admin'] as const;
export type Role = (typeof ROLES)[number];

/** The values of `rights` in rswebcfg. `manage` is the word of release 0.2.0. */
export const RIGHTS = [...ROLES, 'manage'] as const;
export type WebRight = (typeof RIGHTS)[number];

/** Where a token is used. */
type Place = 'pages' | 'api';

/** With `manage`, a visitor of the pages gives all orders of the pages, as in release 0.2.0. A program then operates, and does not administer. */
const MANAGE: Readonly<Record<Place, Role>> = { pages: 'admin', api: 'operate' };

/** The role of a person on the server who may do what the token may. rssrv executes the orders of the token with it. */
export const LOCAL: Readonly<Record<Role, LocalRole>> = { view: 'reader', operate: 'operator', admin: 'administrator' };

export function roleOfToken(rights: WebRight, place: Place): Role {
  return rights === 'manage' ? MANAGE[place] : rights;
}

/** Returns true if a token with these rights may do what needs the role. */
export function permits(rights: WebRight, needs: Role, place: Place): boolean {
  return ROLES.indexOf(roleOfToken(rights, place)) >= ROLES.indexOf(needs);
}
