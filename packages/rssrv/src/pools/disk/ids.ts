// The types of the ids in a pool. An order inside the server names a volume, a pool or a snapshot by its id, because a name may mean another
// object when the order is executed. Invariant: the compiler refuses a name, which is a plain text, and an id of another kind where an id is
// meant. A handler looks up a name once. Rules: C6.

/** Any id. `randomUUID` returns one. */
export type Uuid = `${string}-${string}-${string}-${string}-${string}`;
type Id<Of extends string> = Uuid & { readonly idOf?: Of };

export type VolumeId = Id<'volume'>;
export type PoolId = Id<'pool'>;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function isUuid(value: string): value is Uuid {
  return UUID.test(value);
}
