// Guards of values read from our own state files: yes or no, nothing is converted or repaired.
// Leaves which fields a file has to its owner, and what to do about a bad file to state-file.ts.

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isRecordOf<T>(value: unknown, isItem: (item: unknown) => item is T): value is Readonly<Record<string, T>> {
  return isRecord(value) && Object.values(value).every(isItem);
}

export function isListOf<T>(value: unknown, isItem: (item: unknown) => item is T): value is readonly T[] {
  return Array.isArray(value) && value.every(isItem);
}

export function isText(value: unknown): value is string {
  return typeof value === 'string';
}

/** Whole and exact as a double. */
export function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value);
}
