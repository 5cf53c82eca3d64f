// Prints a measurement of a test as one line of the output, so that an administrator can compare runs. The tests measure. No test asserts
// figures.

/** Prints `measured: WHAT: name 12.3, name 4`. */
export function report(what: string, numbers: Readonly<Record<string, number | string>>): void {
  const parts = Object.entries(numbers).map(
    ([name, value]) => `${name} ${typeof value === 'number' ? Math.round(value * 10) / 10 : value}`,
  );
  console.log(`measured: ${what}: ${parts.join(', ')}`);
}
