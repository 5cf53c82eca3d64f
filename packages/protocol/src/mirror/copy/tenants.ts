// Replicas and their tenures. A tenure is a text that changes with each session, each handle and each incarnation of a replica, and never
// returns to an earlier value. As long as the tenure is the same, the replica has lost no request that it has answered.

export interface Tenant {
  readonly identity: string;
  readonly tenure: string;
}

export function isSame(some: readonly Tenant[], others: readonly Tenant[]): boolean {
  return (
    some.length === others.length &&
    some.every((one, index) => one.identity === others[index]?.identity && one.tenure === others[index].tenure)
  );
}

export function isTenant(one: { readonly identity: string; readonly tenure: string | null }): one is Tenant {
  return one.tenure !== null;
}
