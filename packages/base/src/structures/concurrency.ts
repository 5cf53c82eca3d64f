// Does the same work for many items, a limited number at a time. Handling a thousand volumes one after another would be slow; handling all
// of them at once might start a thousand programs. Invariant: the results are in the order of the items.

/** Throws the first error that `work` throws. After an error, work in progress continues, but no further work starts. */
export async function severalAtOnce<T, R>(things: readonly T[], atOnce: number, work: (thing: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  let hasFailed = false;
  const lane = async (): Promise<void> => {
    while (next < things.length && !hasFailed) {
      const at = next++;
      try {
        results[at] = await work(things[at]!);
      } catch (thrown) {
        hasFailed = true;
        throw thrown;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, things.length) }, lane));
  return results;
}

/** The result of the work for one item, or the value that the work has thrown. */
export type Outcome<R> = { readonly value: R; readonly thrown: null } | { readonly value: null; readonly thrown: NonNullable<unknown> };

/**
 * Does the work for all items, `atOnce` items at a time, as `severalAtOnce` does. Continues after an error, and returns an outcome for each
 * item.
 */
export function outcomesAtOnce<T, R>(things: readonly T[], atOnce: number, work: (thing: T) => Promise<R>): Promise<Outcome<R>[]> {
  return severalAtOnce(things, atOnce, (thing) =>
    work(thing).then(
      (value): Outcome<R> => ({ value, thrown: null }),
      (thrown: unknown): Outcome<R> => ({ value: null, thrown: thrown ?? new Error('The work failed without a reason') }),
    ),
  );
}
