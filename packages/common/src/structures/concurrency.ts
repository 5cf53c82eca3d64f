// The same work for many things: a few of them at a time, so that a thousand volumes neither wait for one another nor start a thousand programs
// at once. Leaves failing to the work. Invariant: the results stand in the order of the things.

/** The first error that `work` throws is thrown; what is under way then goes on, and nothing more is begun. */
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
