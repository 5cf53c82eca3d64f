// What a test measured, as one line of the test's output: for people who compare runs, never asserted.
// Leaves measuring to the tests.

/** Prints `measured: WHAT: name 12.3, name 4`. */
export function report(what: string, numbers: Readonly<Record<string, number | string>>): void {
  const parts = Object.entries(numbers).map(
    ([name, value]) => `${name} ${typeof value === 'number' ? Math.round(value * 10) / 10 : value}`,
  );
  console.log(`measured: ${what}: ${parts.join(', ')}`);
}
