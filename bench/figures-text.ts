// The figures of a run as the text of a JSON file that people compare line by line: each server of a row, each line of a sheet and each
// goal has its own line. Pure. Invariant: JSON.parse returns the written values, rounded to six digits, because no figure is measured more
// exactly.

const SIGNIFICANT_DIGITS = 6;
/** Paths of the lists of records in the JSON value. */
const RECORDS_EACH_ON_A_LINE = new Set(['rows', 'rows.servers', 'sheets', 'sheets.lines', 'goals']);

export function figuresText(figures: object): string {
  const rounded = JSON.parse(JSON.stringify(figures, inFewDigits)) as Readonly<Record<string, unknown>>;
  const lines = Object.entries(rounded).map(([name, value]) => `${JSON.stringify(name)}: ${text(value, name)}`);
  return `{\n${lines.join(',\n')}\n}\n`;
}

/** `place`: the names that lead to the value, without the numbers of list elements. */
function text(value: unknown, place: string): string {
  if (Array.isArray(value)) {
    const elements = value.map((element) => text(element, place));
    return RECORDS_EACH_ON_A_LINE.has(place) && elements.length > 0 ? `[\n${elements.join(',\n')}\n]` : `[${elements.join(', ')}]`;
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).map(([name, field]) => `${JSON.stringify(name)}: ${text(field, `${place}.${name}`)}`);
  return `{${fields.join(', ')}}`;
}

function inFewDigits(_name: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(SIGNIFICANT_DIGITS)) : value;
}
