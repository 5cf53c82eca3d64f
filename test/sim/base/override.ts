// Replaces a method of a class from outside. With this function, the zoo breaks production code and the simulator makes constants small,
// without branches in that code. Invariant: the replaced method exists. A mutant that replaces a renamed method is therefore an error, and
// does not count as survived.

type Method<Self, Args extends unknown[], Result> = (self: Self, ...args: Args) => Result;

export interface Overridable {
  readonly name: string;
  readonly prototype: object;
}

/**
 * Replaces a method of a class and returns a function that restores it. The type `Self` lists the private members that the new method uses.
 */
export function override<Self extends object, Args extends unknown[], Result>(
  owner: Overridable,
  name: string,
  make: (original: Method<Self, Args, Result>) => Method<Self, Args, Result>,
): () => void {
  const before = descriptorOf(owner, name);
  const inner: unknown = before.value;
  if (typeof inner !== 'function') throw new Error(`${owner.name}.${name} is no method: the override must follow the code`);
  const changed = make((self, ...args) => Reflect.apply(inner, self, args));
  const value = function (this: Self, ...args: Args): Result {
    return changed(this, ...args);
  };
  Object.defineProperty(owner.prototype, name, { ...before, value });
  return () => Object.defineProperty(owner.prototype, name, before);
}

/** Like `override`, for a getter. */
export function overrideGetter<Self extends object, Value>(
  owner: Overridable,
  name: string,
  get: (self: Self, original: (self: Self) => Value) => Value,
): () => void {
  const before = descriptorOf(owner, name);
  const inner: unknown = Reflect.get(before, 'get');
  if (typeof inner !== 'function') throw new Error(`${owner.name}.${name} is no getter: the override must follow the code`);
  const value = function (this: Self): Value {
    return get(this, (self) => Reflect.apply(inner, self, []));
  };
  Object.defineProperty(owner.prototype, name, { ...before, get: value });
  return () => Object.defineProperty(owner.prototype, name, before);
}

function descriptorOf(owner: Overridable, name: string): PropertyDescriptor {
  const before = Object.getOwnPropertyDescriptor(owner.prototype, name);
  if (before === undefined) throw new Error(`${owner.name} has no ${name}: the override must follow the code`);
  return before;
}
