// The roles of persons on the server, and the words about them. The kernel decides who has a role: a key of [server] in rssrvcfg names a
// user group, and rssrv has a control socket for its members. Pure. Invariant: each role, its key and its socket occur here only.

/** From the least to the most. */
export const LOCAL_ROLES = ['reader', 'operator', 'administrator'] as const;
export type LocalRole = (typeof LOCAL_ROLES)[number];

export type LocalGroupKey = 'control-group' | 'operate-group' | 'admin-group';

interface Words {
  readonly key: LocalGroupKey;
  /** What follows the path of the control socket of rssrv's own user. */
  readonly suffix: string;
  /** What its members may do, after `may`. */
  readonly may: string;
  /** Why a person needs the role, between commas. */
  readonly purpose: string;
}

export const LOCAL_ROLE_WORDS: { readonly [R in LocalRole]: Words } = {
  reader: { key: 'control-group', suffix: '-read', may: 'read', purpose: 'to read' },
  operator: {
    key: 'operate-group',
    suffix: '-operate',
    may: 'read, and make the changes of a client with the right manage',
    purpose: 'to change volumes',
  },
  administrator: { key: 'admin-group', suffix: '-admin', may: 'do everything', purpose: 'to do everything' },
};

/** Returns the path of the socket for the members of a group. `controlSocket`: the socket for the user of rssrv. */
export function groupSocket(controlSocket: string, role: LocalRole): string {
  return `${controlSocket}${LOCAL_ROLE_WORDS[role].suffix}`;
}

/** Returns a value for each role. */
export function byRole<T>(of: (role: LocalRole) => T): { readonly [R in LocalRole]: T } {
  return { reader: of('reader'), operator: of('operator'), administrator: of('administrator') };
}
